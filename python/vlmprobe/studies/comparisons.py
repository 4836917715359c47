"""Comparisons of arms: differences with intervals, above 0 where a claim is right.

Rates, means and numbers of skills are compared paired by picture; diversity at equal n by the root of the sum of its
squared half widths, which takes the arms as independent. Several seeds are joined by `numbers.combined`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from vlmprobe import metrics
from vlmprobe.evaluation import is_valid
from vlmprobe.metrics import skills as skill_numbers
from vlmprobe.studies.numbers import OF_SKILLS, Interval, Outcome, combined, wrong_of
from vlmprobe.studies.tables import SIX, Outcomes

FLAT = 0.05
"""A curve is flat where the interval of its change is within this."""
UNKNOWN = (math.nan, -math.inf, math.inf)


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


class Comparison(Protocol):
    """One of them."""

    @property
    def arms(self) -> tuple[str, ...]:
        """The arms that it needs."""

    def difference(self, outcomes: Outcomes, *, confidence: float = 0.95) -> Difference:
        """Above 0 where it is as the paper says."""


@dataclass(frozen=True)
class Above:
    """A column of the tables: one arm above another."""

    key: str
    more: str
    less: str
    TITLES: ClassVar[dict[str, str]] = {
        **{"qvr": "QVR", "fdr": "FDR", "sd": "SD", "ld": "LD"},
        **{"skills": "skills", "skills_once": "skills with k questions a picture", "coverage": "skill coverage"},
    }

    @property
    def arms(self) -> tuple[str, ...]:
        return self.more, self.less

    def difference(self, outcomes: Outcomes, *, confidence: float = 0.95) -> Difference:
        pairs = zip(outcomes[self.more], outcomes[self.less], strict=True)
        text = f"{self.TITLES[self.key]}: {self.more} less {self.less}"
        bounds = combined([self._of(*pair) for pair in pairs], confidence=confidence)
        return Difference(text, *bounds, self.key in ("qvr", "fdr"))

    def _of(self, a: Outcome, b: Outcome) -> Interval:
        if self.key in OF_SKILLS and not (a.named and b.named):
            return UNKNOWN
        if self.key in ("skills", "skills_once"):
            asked = (a.cut, b.cut) if self.key == "skills" else (a.once, b.once)
            number = skill_numbers.number_difference(*asked, above=a.scale.above)
            return number.value, number.low, number.high
        if self.key in ("qvr", "fdr", "coverage"):
            (rows_a, images_a), (rows_b, images_b) = self._rows(a), self._rows(b)
            measure = metrics.mean_difference if self.key == "coverage" else metrics.paired_difference
            found = measure(rows_a, rows_b, cluster_a=images_a, cluster_b=images_b)
            return found.value, found.low, found.high
        one, other = a.numbers[self.key], b.numbers[self.key]
        return apart((one.value, one.low, one.high), (other.value, other.low, other.high))

    def _rows(self, outcome: Outcome) -> tuple[list[Any], list[int]]:
        if self.key == "qvr":
            rows = outcome.tally.rows
            return [is_valid(question) for _, question in rows], [image for image, _ in rows]
        values = outcome.wrong if self.key == "fdr" else [len(set(each)) for each in outcome.skills]
        return list(values), outcome.images


@dataclass(frozen=True)
class ExclusiveSkills:
    """Skills that only one of the six methods has, at equal n: more of one than of another."""

    more: str
    less: str
    arms: tuple[str, ...] = SIX

    def difference(self, outcomes: Outcomes, *, confidence: float = 0.95) -> Difference:
        seeds = zip(*(outcomes[name] for name in self.arms), strict=True)
        bounds = combined([self._of(one) for one in seeds], confidence=confidence)
        return Difference(f"exclusive skills: {self.more} less {self.less}", *bounds)

    def _of(self, methods: Sequence[Outcome]) -> Interval:
        if not all(one.named for one in methods):
            return UNKNOWN
        asked = {name: one.cut for name, one in zip(self.arms, methods, strict=True)}
        more, less = asked.pop(self.more), asked.pop(self.less)
        found = skill_numbers.number_difference(more, less, others=list(asked.values()), above=methods[0].scale.above)
        return found.value, found.low, found.high


@dataclass(frozen=True)
class Rise:
    """FDR over the pool: the second half of the questions above the first."""

    name: str

    @property
    def arms(self) -> tuple[str, ...]:
        return (self.name,)

    def difference(self, outcomes: Outcomes, *, confidence: float = 0.95) -> Difference:
        bounds = combined(rises(outcomes[self.name]), confidence=confidence)
        return Difference(f"rise of {self.name}", *bounds, True)


@dataclass(frozen=True)
class Flat:
    """FDR over the pool changes by less than `FLAT`."""

    name: str

    @property
    def arms(self) -> tuple[str, ...]:
        return (self.name,)

    def difference(self, outcomes: Outcomes, *, confidence: float = 0.95) -> Difference:
        value, low, high = combined(rises(outcomes[self.name]), confidence=confidence)
        nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        bounds = FLAT - abs(value), FLAT - max(abs(low), abs(high)), FLAT - nearest
        return Difference(f"{100 * FLAT:g} points less the size of the change of {self.name}", *bounds, True)


@dataclass(frozen=True)
class RisesMore:
    """One method's rise above another's."""

    more: str
    less: str

    @property
    def arms(self) -> tuple[str, ...]:
        return self.more, self.less

    def difference(self, outcomes: Outcomes, *, confidence: float = 0.95) -> Difference:
        pairs = zip(rises(outcomes[self.more]), rises(outcomes[self.less]), strict=True)
        bounds = combined([apart(*pair) for pair in pairs], confidence=confidence)
        return Difference(f"rise of {self.more} less that of {self.less}", *bounds, True)


def rises(seeds: Iterable[Outcome]) -> list[Interval]:
    """Of FDR over the questions about the pool, of each seed."""
    found = []
    for one in seeds:
        rise = metrics.rise(wrong_of(one.pool), cluster=[image for image, _ in one.pool.valid()])
        found.append((rise.value, rise.low, rise.high))
    return found


def apart(a: Interval, b: Interval) -> Interval:
    """a less b, as if they were independent."""
    value = a[0] - b[0]
    return value, value - math.hypot(a[0] - a[1], b[2] - b[0]), value + math.hypot(a[2] - a[0], b[0] - b[1])
