"""The comparison: which runs are its rows and which numbers its columns. The page and the terminal print this table.

A summary holds `before` and `after` (evaluations of the questioner on the same held-out images) and `arms` by name
(whole runs at equal answerer calls). Each is a mapping with the keys of `COLUMNS`; a key that is missing, None or NaN
is shown as a dash, and a column that is empty in every row is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe.report.table import format

Evaluation = Mapping[str, Any]

EVALUATIONS = "Held-out images, the same before and after"
ARMS = "Whole runs, training included"
_EQUAL_CALLS = 0.02  # calls of arms that differ by less than this share of the largest are called equal
STAGES = ("reached", "triggered", "detected")


@dataclass(frozen=True, kw_only=True)
class Run:
    """A row: one evaluation or one arm."""

    name: str
    section: str
    """`EVALUATIONS` or `ARMS`."""
    numbers: Evaluation


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A number as printed, with its interval where it has one."""

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def known(self) -> bool:
        return self.text != format.DASH

    @property
    def interval(self) -> str:
        """Its ends in percent, or empty."""
        return self.span(format.DASH)

    def span(self, between: str) -> str:
        """Its ends in percent with `between` between them, or empty."""
        return format.percent_interval(None if self.low is None else (self.low, self.high), between)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its heads and how its cell is made."""

    key: str
    head: str
    group: str
    help: str
    cell: Callable[[Evaluation, str], Cell]


def runs(summary: Mapping[str, Any]) -> list[Run]:
    """The rows of a summary, evaluations first.

    Raises:
        ValueError: none of `before`, `after` and `arms` is there, or one is not a mapping.
    """
    named = [(name, EVALUATIONS, summary[name]) for name in ("before", "after") if summary.get(name) is not None]
    named += [(name, ARMS, numbers) for name, numbers in (summary.get("arms") or {}).items()]
    if not named:
        raise ValueError("[report] summary: expected at least one of before, after and arms, got none")
    for name, _, numbers in named:
        if not isinstance(numbers, Mapping):
            raise ValueError(f"[report] summary {name!r}: expected a mapping, got {type(numbers).__name__}")
    return [Run(name=name, section=section, numbers=numbers) for name, section, numbers in named]


def columns(rows: Sequence[Run]) -> list[Column]:
    """The columns in which at least one row has a number."""
    return [column for column in COLUMNS if any(column.cell(row.numbers, column.key).known for row in rows)]


def number(numbers: Evaluation, key: str) -> float | None:
    """The number under `key`; None when it is missing, None or NaN."""
    value = numbers.get(key)
    if isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
        raise ValueError(f"[report] summary {key}: expected a number or None, got {value!r:.60}")
    return None if format.missing(value) else value


def equal_calls(rows: Sequence[Run]) -> bool:
    """Whether the rows spent the same number of answerer calls, to 2 %; False when one is not known."""
    calls = [number(row.numbers, "answerer_calls") for row in rows]
    known = [value for value in calls if value is not None]
    return bool(known) and len(known) == len(calls) and max(known) - min(known) <= _EQUAL_CALLS * max(known)


def section_title(section: str, rows: Sequence[Run]) -> str:
    """The heading of a section's rows; says of arms whether they may be compared call for call."""
    if section != ARMS or len(rows) < 2:
        return section
    return f"{section}, at {'equal' if equal_calls(rows) else 'different or unknown'} answerer calls"


def faults_at(numbers: Evaluation, stage: str) -> int | None:
    """How many of the planted faults got as far as `stage`; None without planted faults."""
    faults = numbers.get("faults")
    return sum((number(fault, stage) or 0) > 0 for fault in faults.values()) if faults else None


def _count(numbers: Evaluation, key: str) -> Cell:
    value = number(numbers, key)
    return Cell(text=format.count(value), value=value)


def _decimal(digits: int) -> Callable[[Evaluation, str], Cell]:
    def cell(numbers: Evaluation, key: str) -> Cell:
        value = number(numbers, key)
        return Cell(text=format.decimal(value, digits), value=value)

    return cell


def _share(numbers: Evaluation, key: str) -> Cell:
    value = number(numbers, key)
    low, high = numbers.get(f"{key}_interval") or (None, None)
    known = not (format.missing(low) or format.missing(high))
    return Cell(text=format.percent(value), value=value, low=low if known else None, high=high if known else None)


def _duplicates(numbers: Evaluation, key: str) -> Cell:
    """A share when it is a fraction, else a count."""
    value = number(numbers, key)
    return _share(numbers, key) if isinstance(value, float) else _count(numbers, key)


def _faults(numbers: Evaluation, key: str) -> Cell:
    value = faults_at(numbers, key)
    return Cell(text=format.count(value), value=value)


def _column(group: str, key: str, head: str, help: str, cell: Callable[[Evaluation, str], Cell]) -> Column:
    return Column(group=group, key=key, head=head, help=help, cell=cell)


COLUMNS: tuple[Column, ...] = (
    _column("Questions", "n_questions", "asked", "slots generated, empty and malformed ones included", _count),
    _column("Questions", "n_valid", "valid", "questions; n of FDR and of every measure of diversity", _count),
    _column("Questions", "n_unscored", "unscored", "no usable reply from the verifier or the answerer", _count),
    _column("Questions", "qvr", "QVR %", "question validity rate: valid / asked", _share),
    _column("Failures", "fdr", "FDR %", "failure discovery rate: answered wrongly / valid", _share),
    _column("Failures", "distinct_failures", "programs", "distinct ones among the failures", _count),
    _column(
        "Failures",
        "effective_failure_families",
        "families",
        "of failures, effective: exponential of the entropy over families",
        _decimal(1),
    ),
    _column(
        "Diversity",
        "effective_families",
        "families",
        "of valid questions, effective: exponential of the entropy over families",
        _decimal(1),
    ),
    _column("Diversity", "vendi", "Vendi", "score of the valid questions; grows with n", _decimal(1)),
    _column(
        "Diversity",
        "prefix_entropy_normalized",
        "prefix",
        "entropy of the first two words / log n",
        _decimal(2),
    ),
    _column("Diversity", "duplicates", "dup. %", "questions that repeat another word for word", _duplicates),
    _column("Planted faults", "reached", "reached", "faults whose condition a valid question met", _faults),
    _column("Planted faults", "triggered", "triggered", "faults that corrupted an answer", _faults),
    _column("Planted faults", "detected", "detected", "faults of which the verifier called an answer wrong", _faults),
    _column("Cost", "answerer_calls", "calls", "calls of the answerer", _count),
)
