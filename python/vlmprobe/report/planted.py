"""The table and the figure of PlantedBench."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from vlmprobe import metrics
from vlmprobe._util.files import write_text
from vlmprobe._util.optional import require
from vlmprobe.report.draw import svg
from vlmprobe.report.draw.planted import planted
from vlmprobe.report.results.numbers import Interval
from vlmprobe.report.table import markdown, terminal
from vlmprobe.report.table.cells import Cell, Column, Table, estimate_cell, text_cell, words
from vlmprobe.studies.plantedbench.compare import MethodResult

_MEANS = {
    "detected_10": ("≥ 10", 1), "detected_3": ("≥ 3", 1), "reached": ("reached", 1), "area_10": ("area", 2),
    "named": ("named", 1), "nameable": ("nameable", 1), "modes": ("modes", 1), "false_modes": ("false modes", 1),
    "distinct_failing_programs": ("programs", 0), "false_failures": ("false", 0), "families": ("families", 1),
    "qvr": ("QVR", 2), "fdr": ("FDR", 3), "ld": ("LD", 2), "answerer_calls": ("calls", 0),
    "questions_asked": ("asked", 0), "cpu_seconds": ("CPU s", 0),
}  # fmt: skip
_PLAIN = ("false_failures", "answerer_calls", "questions_asked", "cpu_seconds")  # given, or the same for all sets
_DIFFERENCES = {
    "detected_10": ("≥ 10", 1), "detected_3": ("≥ 3", 1), "area_10": ("area", 2),
    "distinct_failing_programs": ("programs", 0),
}  # fmt: skip


def planted_table(methods: Sequence[MethodResult], *, base: str, notes: Sequence[str] = ()) -> Table:
    """Means of each method, and how much more than the base method's they are, with 95 % intervals over sets."""
    columns = [words("method")]
    columns += [Column(head=head, group="mean") for head, _ in _MEANS.values()]
    columns += [Column(head=f"Δ {head}", group=f"more than {base}") for head, _ in _DIFFERENCES.values()]
    rows = [[text_cell(method.method), *_cells(method)] for method in methods]
    first = methods[0]
    size = (
        f"n = {first.runs} runs of each method on {first.sets} fault sets; {first.reachable:.1f} faults of a set are "
        "reachable. Intervals are of 95 %, sets resampled; differences are paired by set."
    )
    return Table(id="plantedbench", title="PlantedBench", columns=columns, rows=rows, notes=[size, *notes])


def _cells(method: MethodResult) -> list[Cell]:
    means = [_cell(method.means, name, digits) for name, (_, digits) in _MEANS.items()]
    return [*means, *(_cell(method.differences, name, digits) for name, (_, digits) in _DIFFERENCES.items())]


def _cell(found: Mapping[str, metrics.Estimate] | Mapping[str, metrics.Difference], name: str, digits: int) -> Cell:
    estimate = found.get(name)
    if estimate is None:
        return text_cell(None)
    if name in _PLAIN:
        return estimate_cell(Interval(value=estimate.value), digits=digits)
    known = [end if math.isfinite(end) else None for end in (estimate.value, estimate.low, estimate.high)]
    return estimate_cell(Interval(value=known[0], low=known[1], high=known[2]), digits=digits)


def planted_text(table: Table, *, width: int) -> str:
    """The table for the terminal."""
    return "\n\n".join([*terminal.blocks(table, width), "\n".join(table.notes)])


def write_planted(folder: str | Path, table: Table, methods: Sequence[MethodResult]) -> Path:
    """Writes `table.md` and `figure.svg`; the path of the former.

    Raises:
        ImportError: matplotlib is missing; names the extra `report`.
    """
    require("matplotlib", extra="report")
    folder = Path(folder)
    drawn = svg.standalone(planted("plantedbench", methods), table.title)
    write_text(folder / "figure.svg", drawn)
    lines = [f"# {table.title}", "", *markdown.rows(table), "", *table.notes, "", f"![{table.title}](figure.svg)"]
    write_text(folder / "table.md", "\n".join(lines) + "\n")
    return folder / "table.md"
