"""The large numbers at the top of the page, one for each way of asking."""

from __future__ import annotations

from dataclasses import dataclass

from vlmprobe.report.page.columns import arm_name
from vlmprobe.report.results.demo import Arm, Summary
from vlmprobe.report.table import format


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One of them."""

    label: str
    value: str
    of: str
    """What it is of, in small print."""
    more: str
    """Another line of small print."""


def tiles(summary: Summary) -> list[Tile]:
    """Faults detected by each arm; without planted faults, different failing programs."""
    return [_tile(name, arm, len(summary.planted)) for name, arm in summary.arms.items()]


def _tile(name: str, arm: Arm, planted: int) -> Tile:
    value, of = arm.distinct_failing_programs, "different failing programs"
    if planted:
        value, of = arm.detected_10, f"of {planted} planted faults detected"
    more = f"{format.count(arm.questions_asked)} questions asked, {format.count(arm.answerer_calls)} answered"
    return Tile(label=arm_name(name), value=format.count(value), of=of, more=more)
