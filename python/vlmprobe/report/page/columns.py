"""The ways of asking as a table: an arm per row, its numbers the columns. The page and the terminal print it.

What is not known is a dash, and a column that is empty in every row is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from vlmprobe.report.results.demo import Arm, Summary
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, estimate_cell, text_cell, words


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that each arm has: its column, and how its cell is made."""

    column: Column
    cell: Callable[[Arm], Cell]


def comparison_table(summary: Summary) -> Table:
    """The arms; the first column has their names. Columns of faults are left out where none is planted."""
    arms = summary.arms
    metrics = [metric for metric in METRICS if summary.planted or metric.column.group != FAULTS]
    shown = [metric for metric in metrics if any(metric.cell(arm).known for arm in arms.values())]
    equal = "at equal answerer calls" if summary.calls is not None else "at different or unknown answerer calls"
    return Table(
        id="comparison",
        title=f"Ways of asking, {equal}",
        columns=[words(""), *(metric.column for metric in shown)],
        rows=[[text_cell(arm_name(name)), *(metric.cell(arm) for metric in shown)] for name, arm in arms.items()],
    )


def arm_name(arm: str) -> str:
    """An arm as tables and figures name it."""
    return "paper's reward" if arm == "paper" else arm


def _count(value: float | None) -> Cell:
    return Cell(text=format.count(value))


def _share(estimate: Estimate) -> Cell:
    cell = estimate_cell(estimate, percent=True)
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return cell
    return replace(cell, bar=(estimate.value, estimate.low, estimate.high))


def _decimal(value: float | None, digits: int) -> Cell:
    return Cell(text=format.decimal(value, digits))


def _metric(group: str, key: str, head: str, help: str, cell: Callable[[Arm], Cell]) -> Metric:
    return Metric(column=Column(group=group, key=key, head=head, help=help), cell=cell)


FAULTS = "Planted faults"
METRICS = (
    _metric(
        *(FAULTS, "reached", "reached", "faults whose condition a valid question met"),
        lambda arm: _count(arm.reached),
    ),
    _metric(
        *(FAULTS, "detected_3", "≥ 3", "faults detected with at least three different pairs of picture and question"),
        lambda arm: _count(arm.detected_3),
    ),
    _metric(
        *(FAULTS, "detected_10", "≥ 10", "with at least ten: what the first sentence counts"),
        lambda arm: _count(arm.detected_10),
    ),
    _metric(
        *("Cost", "answerer_calls", "calls", "of the answerer, those of training among them"),
        lambda arm: _count(arm.answerer_calls),
    ),
    _metric(
        *("Cost", "questions_asked", "asked", "questions; invalid, empty and repeated ones count"),
        lambda arm: _count(arm.questions_asked),
    ),
    _metric(
        *("Cost", "seconds", "seconds", "from its first question to its last"),
        lambda arm: _decimal(arm.seconds, 1),
    ),
    _metric(
        *("Failures", "fdr", "FDR %", "failure discovery rate: answered wrongly / valid"),
        lambda arm: _share(arm.failure),
    ),
    _metric(
        *("Failures", "distinct_failing_programs", "programs", "different kinds of question among the failures"),
        lambda arm: _count(arm.distinct_failing_programs),
    ),
    _metric(
        *("Questions", "qvr", "QVR %", "question validity rate: valid / asked"),
        lambda arm: _share(arm.validity),
    ),
    _metric(
        *("Questions", "n_unscored", "unscored", "no usable reply, or beyond the last answerer call"),
        lambda arm: _count(arm.n_unscored),
    ),
    _metric(
        *("Questions", "ld", "LD", "lexical diversity: entropy of the first two words / log n"),
        lambda arm: _decimal(arm.ld, 2),
    ),
    _metric(
        *("Questions", "families", "families", "of valid questions: exponential of the entropy over families"),
        lambda arm: _decimal(arm.families, 1),
    ),
)
