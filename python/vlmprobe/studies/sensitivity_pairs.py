"""Methods seen in several ways (by several judges, with several rewards): rankings, pairs, and which of them flip."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vlmprobe.ledger import RecordedQuestions
from vlmprobe.ledger.records import QuestionRecord
from vlmprobe.metrics import Difference
from vlmprobe.studies.values import Numbered, Plain, finite

DIGITS = 12  # of a mean; what differs by less is a tie: rewards are sums of floats


Views = Mapping[str, Mapping[str, RecordedQuestions]]
"""Method -> view (a judge, a reward) -> the method's questions as they look there."""


@dataclass(frozen=True)
class Column:
    """A number or a truth of each question, and its image."""

    values: Sequence[Any] = field(repr=False)
    """[N] None where it is unknown."""
    images: Sequence[Hashable] = field(repr=False)
    """[N]"""


@dataclass(frozen=True)
class Pair:
    """Two methods on the same images, as each view sees them."""

    methods: tuple[str, str]
    differences: Mapping[str, Difference]
    """View to the first method less the second."""
    significant: Mapping[str, bool]
    """View to whether p of its difference is below the level; views where one method has no rows are left out."""
    flips: str | None
    """`order`: the first is above the second in one view and below it in another. `significance`: it is not, and the
    difference is significant in one view and not in another. None: neither, or unknown in all views but one."""

    def plain(self) -> Plain:
        """As values that JSON has."""
        return {
            "methods": list(self.methods),
            "differences": {view: _plain_difference(found) for view, found in self.differences.items()},
            "significant": dict(self.significant),
            "flips": self.flips,
        }


class _Paired(Protocol):
    """`vlmprobe.metrics.paired_difference` or `mean_difference`."""

    def __call__(
        self,
        a: Sequence[Any],
        b: Sequence[Any],
        /,
        *,
        cluster_a: Sequence[Hashable],
        cluster_b: Sequence[Hashable],
        seed: int,
    ) -> Difference: ...


def pairs(
    columns: Mapping[str, Mapping[str, Column]], difference: _Paired, *, level: float, seed: int
) -> tuple[Pair, ...]:
    """All pairs of methods, in the order of the mapping.

    Args:
        columns: method to view to column; the same views for each method.
        difference: of two columns.
        level: of the p-values, each pair by itself.
        seed: of the bootstrap.
    """
    return tuple(_pair(columns, names, difference, level, seed) for names in itertools.combinations(columns, 2))


def _pair(
    columns: Mapping[str, Mapping[str, Column]],
    names: tuple[str, str],
    difference: _Paired,
    level: float,
    seed: int,
) -> Pair:
    first, second = (columns[name] for name in names)
    differences = {
        view: difference(
            first[view].values,
            second[view].values,
            cluster_a=first[view].images,
            cluster_b=second[view].images,
            seed=seed,
        )
        for view in first
    }
    signs = {view: _sign(found.value) for view, found in differences.items() if not math.isnan(found.value)}
    significant = {view: sign != 0 and differences[view].p < level for view, sign in signs.items()}
    flips = None
    if {-1, 1} <= set(signs.values()):
        flips = "order"
    elif len(set(significant.values())) > 1:
        flips = "significance"
    return Pair(names, differences, significant, flips)


def _sign(difference: float) -> int:
    """-1, 1, or 0 for a tie."""
    rounded = round(difference, DIGITS)
    return (rounded > 0) - (rounded < 0)


def ranking(found: Mapping[str, Numbered]) -> tuple[str, ...]:
    """Names by value, the highest first, ties by name; what has no value has no place."""
    values = {name: round(each.value, DIGITS) for name, each in found.items() if not math.isnan(each.value)}
    return tuple(sorted(values, key=lambda name: (-values[name], name)))


def check(op: str, tallies: Views, view: str, level: float) -> tuple[str, ...]:
    """The views of the methods, in the order of the first.

    Raises:
        ValueError: no method, fewer than two views, methods with other views, a view of other questions, or a level
            outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"[{op}] level: expected a number in (0, 1), got {level}")
    if not tallies:
        raise ValueError(f"[{op}] tallies: expected at least one method, got none")
    views = tuple(next(iter(tallies.values())))
    if len(views) < 2:
        raise ValueError(f"[{op}] tallies: expected at least 2 {view}s, got {len(views)}")
    for method, seen in tallies.items():
        if set(seen) != set(views):
            raise ValueError(f"[{op}] tallies[{method!r}]: expected the {view}s {views}, got {tuple(seen)}")
        first = [_asked(*row) for row in seen[views[0]].rows]
        for name in views[1:]:
            _check_same(f"[{op}] tallies[{method!r}][{name!r}]", first, [_asked(*row) for row in seen[name].rows])
    return views


def _asked(image: int, question: QuestionRecord) -> tuple[object, ...]:
    """What is the same whoever judges it."""
    return image, question.sequence, question.slot, question.status, question.text, question.answer


def _check_same(name: str, first: Sequence[object], other: Sequence[object]) -> None:
    if len(other) != len(first):
        raise ValueError(f"{name}: expected {len(first)} questions, got {len(other)}")
    row = next((i for i, (a, b) in enumerate(zip(first, other, strict=True)) if a != b), None)
    if row is not None:
        raise ValueError(f"{name}: expected the same questions and answers, got another in row {row}")


def _plain_difference(found: Difference) -> Plain:
    if math.isnan(found.value):
        return {"value": None, "low": None, "high": None, "p": None, "n": list(found.n)}
    ends = {"low": finite(found.low), "high": finite(found.high)}
    return {"value": found.value, **ends, "p": found.p, "n": list(found.n)}
