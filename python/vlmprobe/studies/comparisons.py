"""Comparisons of arms: differences with intervals, above 0 where a claim is right.

Rates and means are compared paired by picture; numbers at equal n by the root of the sum of their squared half widths,
which takes them as independent. Of several seeds the seeds are what is drawn: Student's t on their differences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from vlmprobe import metrics
from vlmprobe.evaluation import is_valid
from vlmprobe.metrics.estimate import Floats, resampled
from vlmprobe.studies.numbers import Outcome, mean_and_reach, wrong_of
from vlmprobe.studies.tables import SIX, Outcomes

FLAT = 0.05
"""A curve is flat where the interval of its rise is within this."""
Interval = tuple[float, float, float]
"""Value, low, high."""
DRAWS = 2000  # of pictures
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

    def difference(self, outcomes: Outcomes) -> Difference:
        """Above 0 where it is as the paper says."""


@dataclass(frozen=True)
class Above:
    """A column of the tables: one arm above another."""

    key: str
    more: str
    less: str
    TITLES: ClassVar[dict[str, str]] = {
        **{"qvr": "QVR", "fdr": "FDR", "sd": "SD", "ld": "LD"},
        **{"skills": "skills", "coverage": "skill coverage"},
    }

    @property
    def arms(self) -> tuple[str, ...]:
        return self.more, self.less

    def difference(self, outcomes: Outcomes) -> Difference:
        pairs = zip(outcomes[self.more], outcomes[self.less], strict=True)
        text = f"{self.TITLES[self.key]}: {self.more} less {self.less}"
        return Difference(text, *over(self._of(*pair) for pair in pairs), self.key in ("qvr", "fdr"))

    def _of(self, a: Outcome, b: Outcome) -> Interval:
        if self.key == "coverage" and not (a.named and b.named):
            return UNKNOWN
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
    """Skills that only one of the six methods has: more of one than of another. Pictures are resampled."""

    more: str
    less: str
    arms: tuple[str, ...] = SIX

    def difference(self, outcomes: Outcomes) -> Difference:
        seeds = zip(*(outcomes[name] for name in self.arms), strict=True)
        return Difference(f"exclusive skills: {self.more} less {self.less}", *over(self._of(one) for one in seeds))

    def _of(self, methods: Sequence[Outcome]) -> Interval:
        if not all(one.named for one in methods):
            return UNKNOWN
        images = {image: i for i, image in enumerate(sorted({image for one in methods for image in one.images}))}
        names = {
            skill: i for i, skill in enumerate(sorted({s for one in methods for each in one.skills for s in each}))
        }
        had = np.zeros((len(images), len(methods), len(names)))
        for number, one in enumerate(methods):
            for image, skills in zip(one.images, one.skills, strict=True):
                for skill in set(skills):
                    had[images[image], number, names[skill]] += 1
        threshold, shape = methods[0].scale.above, had.shape[1:]
        more, less = self.arms.index(self.more), self.arms.index(self.less)

        def measure(sums: Floats) -> Floats:
            known = sums.reshape(*sums.shape[:-1], *shape) > threshold
            alone = (known & (known.sum(-2, keepdims=True) == 1)).sum(-1).astype(float)
            found: Floats = alone[..., more] - alone[..., less]
            return found

        flat = had.reshape(len(images), -1)
        value, low, high = resampled(flat, measure, draws=DRAWS, seed=0, confidence=0.95)
        return value, min(low, value), max(high, value)


@dataclass(frozen=True)
class Rise:
    """FDR over the pool: the second half of the questions above the first."""

    name: str

    @property
    def arms(self) -> tuple[str, ...]:
        return (self.name,)

    def difference(self, outcomes: Outcomes) -> Difference:
        return Difference(f"rise of {self.name}", *rise(outcomes[self.name]), True)


@dataclass(frozen=True)
class Flat:
    """FDR over the pool changes by less than `FLAT`."""

    name: str

    @property
    def arms(self) -> tuple[str, ...]:
        return (self.name,)

    def difference(self, outcomes: Outcomes) -> Difference:
        value, low, high = rise(outcomes[self.name])
        nearest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
        bounds = FLAT - abs(value), FLAT - max(abs(low), abs(high)), FLAT - nearest
        return Difference(f"{100 * FLAT:g} points less the rise of {self.name}", *bounds, True)


@dataclass(frozen=True)
class RisesMore:
    """One method's rise above another's."""

    more: str
    less: str

    @property
    def arms(self) -> tuple[str, ...]:
        return self.more, self.less

    def difference(self, outcomes: Outcomes) -> Difference:
        bounds = apart(rise(outcomes[self.more]), rise(outcomes[self.less]))
        return Difference(f"rise of {self.more} less that of {self.less}", *bounds, True)


def rise(seeds: Sequence[Outcome]) -> Interval:
    """Of FDR over the questions about the pool."""
    return over(_rise(one) for one in seeds)


def _rise(outcome: Outcome) -> Interval:
    found = metrics.rise(wrong_of(outcome.pool), cluster=[image for image, _ in outcome.pool.valid()])
    return found.value, found.low, found.high


def apart(a: Interval, b: Interval) -> Interval:
    """a less b, as if they were independent."""
    value = a[0] - b[0]
    return value, value - math.hypot(a[0] - a[1], b[2] - b[0]), value + math.hypot(a[2] - a[0], b[0] - b[1])


def over(each: Any) -> Interval:
    """Of several seeds the mean, with seeds as what is drawn; of one seed that one's own."""
    found = list(each)
    if len(found) == 1:
        return found[0][0], found[0][1], found[0][2]
    value, reach = mean_and_reach([one[0] for one in found])
    return value, value - reach, value + reach
