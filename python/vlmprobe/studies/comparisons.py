"""Comparisons of arms: differences with intervals, above 0 where a claim is right.

Rates, means and numbers of skills are compared paired by picture; diversity at equal n, and the rises of two curves, by
the root of the sum of their squared half widths, which takes them as independent. Several seeds are joined by
`numbers.combined`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from vlmprobe import metrics
from vlmprobe.ledger.questions import is_valid
from vlmprobe.metrics import skills as skill_numbers
from vlmprobe.studies.numbers import (
    OF_SKILLS,
    SHARES,
    UNKNOWN,
    Interval,
    Outcome,
    bounds,
    combined,
    wrong_of,
)
from vlmprobe.studies.tables import SIX, Outcomes

FLAT = 0.05
"""A curve is flat where the interval of its change is within this."""


@dataclass(frozen=True)
class Difference:
    """What came out."""

    text: str
    value: float
    low: float
    high: float
    points: bool = False
    """Of shares, shown in points of a hundred."""

    def __str__(self) -> str:
        value, low, high = ((100 if self.points else 1) * each for each in (self.value, self.low, self.high))
        unit = " points" if self.points else ""
        return f"{self.text} {value:+.3g} [{low:+.3g}, {high:+.3g}]{unit}"


class Comparison(ABC):
    """One of them."""

    points: bool = False
    """Of shares."""
    most: float = math.inf
    """That the size of the difference can be."""

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """The arms that it needs."""

    @property
    @abstractmethod
    def text(self) -> str:
        """What is compared."""

    @abstractmethod
    def seeds(self, outcomes: Outcomes) -> list[Interval]:
        """Of each seed, above 0 where it is as the paper says."""

    def joined(self, seeds: Sequence[Interval], *, confidence: float = 0.95) -> Difference:
        """Of all of them."""
        value, low, high = combined(seeds, confidence=confidence)
        return Difference(self.text, value, max(low, -self.most), min(high, self.most), self.points)


@dataclass(frozen=True)
class Above(Comparison):
    """A column of the tables: one arm above another."""

    key: str
    more: str
    less: str
    TITLES: ClassVar[dict[str, str]] = {
        **{"qvr": "QVR", "fdr": "FDR", "sd": "SD", "ld": "LD"},
        **{"skills": "skills", "skills_once": "skills with k questions a picture", "coverage": "skill coverage"},
    }

    @property
    def points(self) -> bool:  # type: ignore[override]
        return self.key in ("qvr", "fdr")

    @property
    def most(self) -> float:  # type: ignore[override]
        return 1.0 if self.key in SHARES else math.inf

    @property
    def arms(self) -> tuple[str, ...]:
        return self.more, self.less

    @property
    def text(self) -> str:
        return f"{self.TITLES[self.key]}: {self.more} less {self.less}"

    def seeds(self, outcomes: Outcomes) -> list[Interval]:
        return [self._of(a, b) for a, b in zip(outcomes[self.more], outcomes[self.less], strict=True)]

    def _of(self, a: Outcome, b: Outcome) -> Interval:
        if self.key in OF_SKILLS and not (a.named and b.named):
            return bounds(UNKNOWN)
        if self.key in ("skills", "skills_once"):
            asked = (a.cut, b.cut) if self.key == "skills" else (a.once, b.once)
            return bounds(skill_numbers.number_difference(*asked, above=a.scale.above))
        if self.key in ("qvr", "fdr", "coverage"):
            (rows_a, images_a), (rows_b, images_b) = self._rows(a), self._rows(b)
            measure = metrics.mean_difference if self.key == "coverage" else metrics.paired_difference
            return bounds(measure(rows_a, rows_b, cluster_a=images_a, cluster_b=images_b))
        return apart(bounds(a.numbers[self.key]), bounds(b.numbers[self.key]))

    def _rows(self, outcome: Outcome) -> tuple[list[Any], list[int]]:
        if self.key == "qvr":
            rows = outcome.tally.rows
            return [is_valid(question) for _, question in rows], [image for image, _ in rows]
        values = outcome.wrong if self.key == "fdr" else [len(set(each)) for each in outcome.skills]
        return list(values), outcome.images


@dataclass(frozen=True)
class ExclusiveSkills(Comparison):
    """Skills that only one of the six methods has, at equal n: more of one than of another."""

    more: str
    less: str
    arms: tuple[str, ...] = SIX

    @property
    def text(self) -> str:
        return f"exclusive skills: {self.more} less {self.less}"

    def seeds(self, outcomes: Outcomes) -> list[Interval]:
        return [self._of(one) for one in zip(*(outcomes[name] for name in self.arms), strict=True)]

    def _of(self, methods: Sequence[Outcome]) -> Interval:
        if not all(one.named for one in methods):
            return bounds(UNKNOWN)
        asked = {name: one.cut for name, one in zip(self.arms, methods, strict=True)}
        more, less, others = asked.pop(self.more), asked.pop(self.less), list(asked.values())
        return bounds(skill_numbers.number_difference(more, less, others=others, above=methods[0].scale.above))


@dataclass(frozen=True)
class Rise(Comparison):
    """FDR over the pool: the second half of the questions above the first."""

    name: str
    points = True
    most = 1.0

    @property
    def arms(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def text(self) -> str:
        return f"rise of {self.name}"

    def seeds(self, outcomes: Outcomes) -> list[Interval]:
        return rises(outcomes[self.name])


@dataclass(frozen=True)
class Flat(Rise):
    """FDR over the pool changes by less than `FLAT`."""

    @property
    def text(self) -> str:
        return f"{100 * FLAT:g} points less the size of the change of {self.name}"

    def joined(self, seeds: Sequence[Interval], *, confidence: float = 0.95) -> Difference:
        value, low, high = combined(seeds, confidence=confidence)
        nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        ends = FLAT - abs(value), FLAT - max(abs(low), abs(high)), FLAT - nearest
        return Difference(self.text, *ends, self.points)


@dataclass(frozen=True)
class RisesMore(Comparison):
    """One method's rise above another's."""

    more: str
    less: str
    points = True
    most = 2.0

    @property
    def arms(self) -> tuple[str, ...]:
        return self.more, self.less

    @property
    def text(self) -> str:
        return f"rise of {self.more} less that of {self.less}"

    def seeds(self, outcomes: Outcomes) -> list[Interval]:
        return [apart(*pair) for pair in zip(rises(outcomes[self.more]), rises(outcomes[self.less]), strict=True)]


def rises(seeds: Iterable[Outcome]) -> list[Interval]:
    """Of FDR over the questions about the pool, of each seed."""
    return [bounds(metrics.rise(wrong_of(one.pool), cluster=[image for image, _ in one.pool.valid()])) for one in seeds]


def apart(a: Interval, b: Interval) -> Interval:
    """a less b, as if they were independent."""
    value = a[0] - b[0]
    return value, value - math.hypot(a[0] - a[1], b[2] - b[0]), value + math.hypot(a[2] - a[0], b[0] - b[1])
