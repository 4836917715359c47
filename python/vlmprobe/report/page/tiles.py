"""The five numbers of the page to see first: after training, and before below it."""

from __future__ import annotations

from dataclasses import dataclass

from vlmprobe.report.page.columns import METRICS
from vlmprobe.report.results.demo import Summary
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One of them."""

    key: str
    label: str
    unit: str
    of: str
    """What it is of, in small print."""
    now: Cell
    then: Cell


def tiles(summary: Summary) -> list[Tile]:
    """Those that are known; none without both evaluations."""
    before, after = summary.before, summary.after
    if before is None or after is None:
        return []
    wanted = (
        ("fdr", "Failure rate", "%", f"n = {format.count(after.n_valid)}"),
        ("qvr", "Valid questions", "%", f"n = {format.count(after.n_questions)}"),
        ("distinct_failures", "Failing programs", "", "distinct"),
        ("effective_failure_families", "Failure families", "", "effective"),
        ("detected", "Faults detected", "", f"of {len(after.faults)} planted"),
    )
    found = [
        Tile(key=key, label=label, unit=unit, of=of, now=METRICS[key].cell(after), then=METRICS[key].cell(before))
        for key, label, unit, of in wanted
    ]
    return [tile for tile in found if tile.now.known]
