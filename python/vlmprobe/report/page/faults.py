"""The planted faults as a table: what each is, its mass, and how far each run got with it."""

from __future__ import annotations

from collections.abc import Mapping

from vlmprobe.report.page.columns import named_runs
from vlmprobe.report.results.demo import STAGES, Fault, Summary
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, words


def fault_table(summary: Summary) -> Table | None:
    """A row per fault, the commonest first; None without planted faults."""
    runs = [(name, run.faults) for name, run in named_runs(summary) if run.faults]
    known = {id: fault for _, faults in runs for id, fault in faults.items()}
    if not known:
        return None
    stages = [Column(head=stage[0], help=stage, group=name, key=stage) for name, _ in runs for stage in STAGES]
    return Table(
        id="faults",
        title="Planted faults",
        columns=[words("fault, when and effect"), Column(head="mass %"), *stages],
        rows=[
            [
                Cell(text=id, remark=_told(fault)),
                Cell(text=format.small_percent(fault.mass)),
                *(Cell(text=_number(faults.get(id, Fault()), stage)) for _, faults in runs for stage in STAGES),
            ]
            for id, fault in sorted(known.items(), key=lambda item: -(item[1].mass or 0.0))
        ],
    )


def _number(fault: Fault, stage: str) -> str:
    count: float | None = getattr(fault, stage)
    return format.count(count)


def _told(fault: Fault) -> str:
    """Its description; else its condition and effect: "family count, num_objects ≥ 5: off_by_one"."""
    if fault.description:
        return fault.description
    condition = ", ".join(_condition(feature, wanted) for feature, wanted in fault.when.items())
    return ": ".join(filter(None, [condition, fault.effect]))


def _condition(feature: str, wanted: object) -> str:
    if isinstance(wanted, Mapping):
        ends = [f"{feature} {sign} {wanted[key]}" for key, sign in (("min", "≥"), ("max", "≤")) if key in wanted]
        return ", ".join(ends)
    if isinstance(wanted, list | tuple):
        return f"{feature} {' or '.join(map(str, wanted))}"
    return f"{feature} {wanted}"
