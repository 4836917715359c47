"""How many kinds of failure there are that nobody has seen yet, and whether asking on will bring any.

A kind is a mode, or the words of a failure that no mode takes. Pictures are the units, because failures of a picture
are not independent; m of them were asked about, and q1, q2 kinds failed on exactly one, two of them:

    richness   Chao2:  S + (m - 1)/m  q1 (q1 - 1) / (2 (q2 + 1)),  with Chao's log-normal interval
    coverage   Good and Turing:  1 - q1/u  ((m - 1) q1) / ((m - 1) q1 + 2 q2),  u pairs of kind and picture
    to come    kinds that the next 1,000 judged questions are expected to add: 1000 f1/n, f1 kinds seen in exactly one
               of n questions; and a bound on that which holds at all times at once

The bound is the least that was reached at n = 250, 500, 1000, ...: at the j-th of these places Poisson's upper limit of
f1 at 1 - 0.05 / (j (j + 1)), over n. What is unseen has never more mass later, so it may be looked at at any time.

Sources: Chao 1987; Chao and others 2014 (incidence); Good 1953.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from vlmprobe.modes.asked import Asked
from vlmprobe.modes.rules import Rule

AHEAD = 1000
FIRST = 250
LEVEL = 0.05
FEW = 0.5
"""New modes among the next `AHEAD` questions, below which one may stop."""
LEVEL_OF_INTERVALS, _Z = 0.95, 1.959964


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """What is still to be expected."""

    kinds: int
    """Seen, those of single failures among them."""
    richness: float
    """Kinds that there are, by Chao2; with its 95 % interval."""
    richness_low: float
    richness_high: float
    coverage: float
    """Of the failures to come, the share that will be of a kind that was seen; NaN without a failure."""
    to_come: float
    """Kinds that the next 1,000 judged questions are expected to add; NaN without a question."""
    to_come_most: float
    """The same, as an upper bound of 95 % that holds at all times at once; infinite before `FIRST` questions."""
    doubts: Sequence[str] = field(default=())
    """Why the estimates are not to be trusted, in sentences; empty where nothing speaks against them."""

    @property
    def enough(self) -> bool:
        """Whether fewer than `FEW` new kinds are to be expected among the next 1,000 questions."""
        return self.to_come_most < FEW


def unseen(judged: Sequence[Asked], rules: Sequence[Rule]) -> Unseen:
    """What is still to be expected of a run.

    Args:
        judged: valid questions with judged answers, in the order in which they were asked.
        rules: of the modes.
    """
    kinds = [_kind(each, rules) if each.wrong else None for each in judged]
    pairs = {(kind, each.key) for kind, each in zip(kinds, judged, strict=True) if kind is not None}
    m = len({each.key for each in judged})
    on = Counter(Counter(kind for kind, _ in pairs).values())
    seen, q1, q2 = sum(on.values()), on[1], on[2]
    value, low, high = chao2(seen, q1, q2, m)
    to_come, most = arrivals(kinds)
    coverage = good_turing(len(pairs), q1, q2, m)
    return Unseen(
        kinds=seen, richness=value, richness_low=low, richness_high=high, coverage=coverage,
        to_come=to_come, to_come_most=most, doubts=_doubts(seen, q1, q2, coverage),
    )  # fmt: skip


def chao2(seen: int, q1: int, q2: int, m: int) -> tuple[float, float, float]:
    """Richness and its 95 % interval; see the head of this file. Where at most one kind failed on a single picture,
    Chao's interval is a point; its upper end is then what the estimate is at Poisson's upper limit of q1. The ends are
    whole numbers, as kinds are.

    >>> tuple(round(each, 2) for each in chao2(10, 4, 2, 8))
    (11.75, 10, 40)
    """
    if m < 1:
        return 0.0, 0.0, math.inf
    a = (m - 1) / m
    more = a * q1 * (q1 - 1) / (2 * (q2 + 1))
    if more == 0:
        most = poisson_upper(q1, (1 - LEVEL_OF_INTERVALS) / 2)
        return float(seen), float(seen), math.ceil(seen + a * most**2 / (2 * (q2 + 1)))
    if q2:
        r = q1 / q2
        variance = q2 * (a / 2 * r**2 + a**2 * r**3 + a**2 / 4 * r**4)
    else:
        variance = a * q1 * (q1 - 1) / 2 + a**2 * q1 * (2 * q1 - 1) ** 2 / 4 - a**2 * q1**4 / (4 * (seen + more))
    factor = math.exp(_Z * math.sqrt(math.log(1 + max(variance, 0.0) / more**2)))
    return seen + more, math.floor(seen + more / factor), math.ceil(seen + more * factor)


def good_turing(u: int, q1: int, q2: int, m: int) -> float:
    """Coverage; see the head of this file. NaN without a pair of kind and picture."""
    if not u:
        return math.nan
    if not q1:
        return 1.0
    weight = (m - 1) * q1 / ((m - 1) * q1 + 2 * q2) if m > 1 else 1.0
    return 1 - q1 / u * weight


def arrivals(kinds: Sequence[Hashable | None]) -> tuple[float, float]:
    """Kinds that the next 1,000 questions are expected to add, and the most; see the head of this file.

    Args:
        kinds: [N] of each question in order; None of one that did not fail.
    """
    if not kinds:
        return math.nan, math.inf
    places = set(itertools.takewhile(lambda n: n <= len(kinds), (FIRST * 2**j for j in itertools.count())))
    counts: Counter[Hashable] = Counter()
    once, most, looks = 0, math.inf, 0
    for n, kind in enumerate(kinds, 1):
        if kind is not None:
            counts[kind] += 1
            once += {1: 1, 2: -1}.get(counts[kind], 0)
        if n in places:
            looks += 1
            most = min(most, AHEAD * poisson_upper(once, LEVEL / (looks * (looks + 1))) / n)
    return AHEAD * once / len(kinds), most


def poisson_upper(count: int, level: float) -> float:
    """The mean at which so few, or fewer, come with probability `level`.

    >>> round(poisson_upper(0, 0.05), 3)
    2.996
    """
    low, high = 0.0, 2.0 * count + 10 - 4 * math.log(level)
    for _ in range(60):
        middle = (low + high) / 2
        tail = math.fsum(math.exp(k * math.log(middle) - middle - math.lgamma(k + 1)) for k in range(count + 1))
        low, high = (middle, high) if tail > level else (low, middle)
    return high


def _kind(each: Asked, rules: Sequence[Rule]) -> Hashable:
    """The first mode that takes a failure, else its words."""
    words = frozenset(concept for concept in each.concepts if concept.kind == "word")
    return next((i for i, rule in enumerate(rules) if rule.takes(each.concepts)), words)


def _doubts(seen: int, q1: int, q2: int, coverage: float) -> list[str]:
    found = []
    if seen and q2 < 3:
        found.append(
            f"Only {q2} {'kind' if q2 == 1 else 'kinds'} failed on exactly two pictures, so the number of kinds is a "
            "lower bound at best."
        )
    if seen and coverage < 0.5:
        found.append(
            "More than half of the failures to come are expected to be of kinds that were not seen, so the number of "
            "kinds is a lower bound at best."
        )
    if seen > 5 and q1 > 0.8 * seen:
        found.append(
            "Most kinds failed on a single picture; where the verifier errs, each of its errors looks like such a kind."
        )
    return found
