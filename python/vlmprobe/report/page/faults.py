"""The planted faults as a table: what each is, its mass, and which arm found it, after how many calls."""

from __future__ import annotations

from collections.abc import Mapping

from vlmprobe.report.page.columns import arm_name
from vlmprobe.report.results.demo import Arm, Fault, Found, Summary
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, words

_COLUMNS = {
    "reached": ("reached", "pairs that met the fault's condition"),
    "detected": ("detected", "pairs that were answered wrongly because of it"),
    "calls_to_10": ("calls to 10", "answerer calls after which ten pairs were detected"),
}


def fault_table(summary: Summary) -> Table | None:
    """A row per fault, the commonest first; None without planted faults."""
    if not summary.planted:
        return None
    columns = [
        Column(head=head, help=help, group=arm_name(name), key=key)
        for name in summary.arms
        for key, (head, help) in _COLUMNS.items()
    ]
    return Table(
        id="faults",
        title="Which fault was found by which way of asking, and when",
        columns=[words("fault, when and effect"), Column(head="mass %"), *columns],
        rows=[
            [
                Cell(text=id, remark=_told(fault)),
                Cell(text=format.small_percent(fault.mass)),
                *(cell for arm in summary.arms.values() for cell in _cells(arm, id)),
            ]
            for id, fault in sorted(summary.planted.items(), key=lambda item: -(item[1].mass or 0.0))
        ],
    )


def _cells(arm: Arm, id: str) -> list[Cell]:
    found = arm.faults.get(id, Found())
    return [Cell(text=format.count(number)) for number in (found.reached, found.detected, found.calls_to_10)]


def _told(fault: Fault) -> str:
    """Its condition and effect: "family count, num_objects ≥ 5: off_by_one"."""
    condition = ", ".join(_condition(feature, wanted) for feature, wanted in fault.when.items())
    return ": ".join(filter(None, [condition, fault.effect]))


def _condition(feature: str, wanted: object) -> str:
    if isinstance(wanted, Mapping):
        ends = [f"{feature} {sign} {wanted[key]}" for key, sign in (("min", "≥"), ("max", "≤")) if key in wanted]
        return ", ".join(ends)
    if isinstance(wanted, list | tuple):
        return f"{feature} {' or '.join(map(str, wanted))}"
    return f"{feature} {wanted}"
