"""The comparison as a table: a run per row, its numbers the columns. The page and the terminal print it.

What is not known is a dash, and a column that is empty in every row is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from vlmprobe.report.results.demo import Evaluation, Summary
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, estimate_cell, text_cell, words

EVALUATIONS = "Held-out images, the same before and after"
ARMS = "Whole runs, training included"
_EFFECTIVE = "effective: exponential of the entropy over families"
_EQUAL_CALLS = 0.02  # calls of arms that differ by less than this share of the largest are called equal


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that each run has: its column, and how its cell is made."""

    column: Column
    cell: Callable[[Evaluation], Cell]


def comparison_table(summary: Summary) -> Table:
    """The evaluations first, then the arms; the first column has the runs' names."""
    runs = named_runs(summary)
    first_arm = len(runs) - len(summary.arms)
    shown = [metric for metric in METRICS.values() if any(metric.cell(numbers).known for _, numbers in runs)]
    headings = {0: EVALUATIONS} if first_arm else {}
    if summary.arms:
        headings[first_arm] = arms_title(summary.arms)
    return Table(
        id="comparison",
        title="Comparison",
        columns=[words(""), *(metric.column for metric in shown)],
        rows=[[text_cell(name), *(metric.cell(numbers) for metric in shown)] for name, numbers in runs],
        headings=headings,
    )


def named_runs(summary: Summary) -> list[tuple[str, Evaluation]]:
    """The evaluations that there are, then the arms."""
    named = [(name, run) for name, run in (("before", summary.before), ("after", summary.after)) if run is not None]
    return [*named, *summary.arms.items()]


def equal_calls(arms: Mapping[str, Evaluation]) -> bool:
    """Whether the arms spent the same number of answerer calls, to 2 %; False when one is not known."""
    calls = [arm.answerer_calls for arm in arms.values()]
    known = [value for value in calls if value is not None]
    return bool(known) and len(known) == len(calls) and max(known) - min(known) <= _EQUAL_CALLS * max(known)


def arms_title(arms: Mapping[str, Evaluation]) -> str:
    """The heading of the arms; says of several whether they may be compared call for call."""
    if len(arms) < 2:
        return ARMS
    return f"{ARMS}, at {'equal' if equal_calls(arms) else 'different or unknown'} answerer calls"


def _count(value: float | None) -> Cell:
    return Cell(text=format.count(value))


def _share(estimate: Estimate) -> Cell:
    cell = estimate_cell(estimate, percent=True)
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return cell
    return replace(cell, bar=(estimate.value, estimate.low, estimate.high))


def _decimal(value: float | None, digits: int) -> Cell:
    return Cell(text=format.decimal(value, digits))


def _metric(group: str, key: str, head: str, help: str, cell: Callable[[Evaluation], Cell]) -> Metric:
    return Metric(column=Column(group=group, key=key, head=head, help=help), cell=cell)


_METRICS = (
    _metric(
        *("Questions", "n_questions", "asked", "slots generated, empty and malformed ones included"),
        lambda run: _count(run.n_questions),
    ),
    _metric(
        *("Questions", "n_valid", "valid", "questions; n of FDR and of every measure of diversity"),
        lambda run: _count(run.n_valid),
    ),
    _metric(
        *("Questions", "n_unscored", "unscored", "no usable reply from the verifier or the answerer"),
        lambda run: _count(run.n_unscored),
    ),
    _metric(
        *("Questions", "qvr", "QVR %", "question validity rate: valid / asked"),
        lambda run: _share(run.validity),
    ),
    _metric(
        *("Failures", "fdr", "FDR %", "failure discovery rate: answered wrongly / valid"),
        lambda run: _share(run.failure),
    ),
    _metric(
        *("Failures", "distinct_failures", "programs", "distinct ones among the failures"),
        lambda run: _count(run.distinct_failures),
    ),
    _metric(
        *("Failures", "effective_failure_families", "families", f"of failures, {_EFFECTIVE}"),
        lambda run: _decimal(run.effective_failure_families, 1),
    ),
    _metric(
        *("Diversity", "effective_families", "families", f"of valid questions, {_EFFECTIVE}"),
        lambda run: _decimal(run.effective_families, 1),
    ),
    _metric(
        *("Diversity", "vendi", "Vendi", "score of the valid questions; grows with n"),
        lambda run: _decimal(run.vendi, 1),
    ),
    _metric(
        *("Diversity", "prefix_entropy_normalized", "prefix", "entropy of the first two words / log n"),
        lambda run: _decimal(run.prefix_entropy_normalized, 2),
    ),
    _metric(
        *("Diversity", "duplicates", "dup. %", "questions that repeat another word for word"),
        lambda run: Cell(text=format.percent(run.duplicates)),
    ),
    _metric(
        *("Planted faults", "reached", "reached", "faults whose condition a valid question met"),
        lambda run: _count(run.faults_at("reached")),
    ),
    _metric(
        *("Planted faults", "triggered", "triggered", "faults that corrupted an answer"),
        lambda run: _count(run.faults_at("triggered")),
    ),
    _metric(
        *("Planted faults", "detected", "detected", "faults of which the verifier called an answer wrong"),
        lambda run: _count(run.faults_at("detected")),
    ),
    _metric(
        *("Cost", "answerer_calls", "calls", "calls of the answerer"),
        lambda run: _count(run.answerer_calls),
    ),
)
METRICS = {metric.column.key: metric for metric in _METRICS}
