"""How many kinds of failure there are that nobody has seen yet, and whether asking on will bring any.

A kind is a mode, or failures that no mode takes. Pictures are the units, because failures of a picture are not
independent; m of them were asked about, and q1, q2 kinds failed on exactly one, two of them:

    richness   Chao2:  S + (m - 1)/m  q1 (q1 - 1) / (2 (q2 + 1)),  with Chao's log-normal interval
    coverage   Good and Turing:  1 - q1/u  ((m - 1) q1) / ((m - 1) q1 + 2 q2),  u pairs of kind and picture
    to come    kinds that the next 1,000 judged questions are expected to add: 1000 f1/n, f1 kinds seen in exactly one
               of n questions; and a bound on that which holds at all times at once

Which failures that no mode takes are of one kind is not known. For coverage and what is to come, other words are
another kind, which errs on the side of asking on. Richness is computed twice: where all of them are of a mode's kind,
and where those whose words have little in common (Jaccard's similarity below `ALIKE`, by single linkage) are of
different ones. Its interval goes from the lower end of the first to the upper end of the second.

The bound is the least that was reached at n = 250, 500, 1000, ...: at the j-th of these places Poisson's upper limit of
f1 at 1 - 0.05 / (j (j + 1)), over n. What is unseen has never more mass later, so it may be looked at at any time.

Sources: Chao 1987; Chao and others 2014 (incidence); Good 1953.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from vlmprobe.modes.asked import Asked
from vlmprobe.modes.rules import Rule

AHEAD = 1000
FIRST = 250
LEVEL = 0.05
ALIKE = 0.3
"""Share of their words that failures of no mode have in common at least, where they are of one kind."""
FEW = 0.5
"""New modes among the next `AHEAD` questions, below which one may stop."""
LEVEL_OF_INTERVALS, _Z = 0.95, 1.959964


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """What is still to be expected."""

    kinds: int
    """Seen; failures of no mode that are alike are one."""
    richness: float
    """Kinds that there are, by Chao2; with its interval, see the head of this file."""
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
    wrong = [each for each in judged if each.wrong]
    modes = [next((i for i, rule in enumerate(rules) if rule.takes(each.concepts)), None) for each in wrong]
    words = [_words(each) if mode is None else mode for each, mode in zip(wrong, modes, strict=True)]
    alike = _alike({each for each in words if isinstance(each, frozenset)})
    groups = [alike.get(each, each) for each in words]
    m = len({each.key for each in judged})
    fewest = _counts([each for each in zip(modes, wrong, strict=True) if each[0] is not None])
    seen, q1, q2, _ = most = _counts(list(zip(groups, wrong, strict=True)))
    value, _, high = chao2(seen, q1, q2, m)
    _, once, twice, u = _counts(list(zip(words, wrong, strict=True)))
    coverage = good_turing(u, once, twice, m)
    left = iter(words)
    to_come, to_come_most = arrivals([next(left) if each.wrong else None for each in judged])
    return Unseen(
        kinds=most[0], richness=value, richness_low=chao2(*fewest[:3], m)[1], richness_high=high, coverage=coverage,
        to_come=to_come, to_come_most=to_come_most, doubts=_doubts(modes, coverage),
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


def _words(each: Asked) -> frozenset[Hashable]:
    return frozenset(concept for concept in each.concepts if concept.kind == "word")


def _alike(wordings: Iterable[frozenset[Hashable]]) -> dict[Hashable, Hashable]:
    """Each wording -> the first of those that it is alike to, by single linkage."""
    groups: list[list[frozenset[Hashable]]] = []
    for one in sorted(wordings, key=sorted):
        apart, joined = list[list[frozenset[Hashable]]](), [one]
        for group in groups:
            if any(len(one & other) >= ALIKE * len(one | other) for other in group):
                joined = group + joined
            else:
                apart.append(group)
        groups = [*apart, joined]
    return {each: group[0] for group in groups for each in group}


def _counts(pairs: Sequence[tuple[Hashable, Asked]]) -> tuple[int, int, int, int]:
    """Kinds, those that failed on exactly one picture and on two, and pairs of kind and picture."""
    on = Counter(Counter(kind for kind, _ in {(kind, each.key) for kind, each in pairs}).values())
    return sum(on.values()), on[1], on[2], sum(pictures * kinds for pictures, kinds in on.items())


def _doubts(modes: Sequence[int | None], coverage: float) -> list[str]:
    found = []
    if modes and coverage < 0.5:
        found.append(
            "More than half of the failures to come are expected to be in words of which no failure was seen, so the "
            "number of kinds is a lower bound at best."
        )
    if 2 * modes.count(None) > len(modes):
        found.append(
            "More than half of the failures belong to no mode, so the number of kinds hangs on which of them are taken "
            "for one; where the verifier errs, its errors look like kinds of their own."
        )
    return found
