"""Few rules that together describe which questions fail: each pays for its words, and no question counts twice.

    worth of a rule   ll(f, n) + ll(F - f, N - n) - ll(F, N)  -  price x concepts

with n of the N questions that are left, f and F of them failures, and ll(f, n) = f ln(f/n) + (n - f) ln(1 - f/n): by
how many nats the outcomes are told better with the rule than without. A rule that is wider than its failures pays in
likelihood, and one that is narrower leaves failures for which another rule must pay. So a concept that can be left out
is left out, and a mode is not told in parts.

The best conjunctions are improved step by step: by a part more or less, or, beside another part, by a word that may
stand in the place of one that it is never seen with (`left` or `leftmost`). Of these, and of the conjunctions as they
were, the one is taken after which all that is left can be told best, by what it is worth itself and a quick cover of
the rest: so no rule is taken that stands for two modes. Its questions are set aside, and the next is looked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from vlmprobe.modes.concepts import Concept
from vlmprobe.modes.rules import MOST, Rule
from vlmprobe.modes.search import Conjunction

Parts = tuple[frozenset[Concept], ...]
SEEDS = 40
"""Conjunctions that are improved each time."""
KEPT = 10
"""Rules that are compared by what they leave, improved ones and others."""
EXPECTED = 3.0
"""Questions that would have two words by chance, from which on it says something that none has."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A rule on the questions that it was found on."""

    rule: Rule
    n: int
    failures: int
    worth: float
    """In nats; see the head of this file."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a rule pays, and the least that it must bring."""

    price: float
    """Nats for each concept."""
    least_failures: int


@dataclass(kw_only=True)
class Cover:
    """The questions that no rule has taken yet.

    Args:
        having: concept -> the questions that have it, bit i for question i.
        wrong: those that failed.
        left: those that are left.
    """

    having: dict[Concept, int]
    wrong: int
    left: int
    costs: Costs
    _apart: dict[Concept, list[Concept]] = field(init=False)

    def __post_init__(self) -> None:
        self._apart = _exclusive(self.having, self.left.bit_count())

    def rules(self, seeds: dict[Conjunction, int]) -> Iterator[Found]:
        """The rules, those worth most first.

        Args:
            seeds: conjunctions to begin with -> the questions that they take.
        """
        known = {tuple(frozenset([c]) for c in some): taken for some, taken in seeds.items()}
        while True:
            ranked = sorted(((self.worth(taken, len(p)), p) for p, taken in known.items()), key=_by_worth)
            begun = [each for each in ranked[:SEEDS] if each[0] > 0]
            if not begun:
                return
            found = {*begun[:KEPT], *(self._improved(parts, worth) for worth, parts in begun)}
            best = sorted(found, key=_by_worth)[: 2 * KEPT]
            _, worth, parts = min(((-self._in_all(each, known), *each) for each in best), key=_by_sum)
            taken = self.taken(parts) & self.left
            failures = (taken & self.wrong).bit_count()
            yield Found(rule=Rule.of(*parts), n=taken.bit_count(), failures=failures, worth=worth)
            self.left &= ~taken

    def taken(self, parts: Parts) -> int:
        """The questions that some parts take, set aside or not."""
        found = -1
        for part in parts:
            any_of = 0
            for concept in part:
                any_of |= self.having[concept]
            found &= any_of
        return found

    def worth(self, taken: int, concepts: int) -> float:
        """See the head of this file; minus infinity of a rule with too few failures, or that fails no more often."""
        taken &= self.left
        n, f = taken.bit_count(), (taken & self.wrong).bit_count()
        all_n, all_f = self.left.bit_count(), (self.left & self.wrong).bit_count()
        if f < self.costs.least_failures or f * all_n <= all_f * n:
            return -math.inf
        return _ll(f, n) + _ll(all_f - f, all_n - n) - _ll(all_f, all_n) - self.costs.price * concepts

    def _in_all(self, first: tuple[float, Parts], known: dict[Parts, int]) -> float:
        """What a rule is worth together with a quick cover, by conjunctions as they are, of what it leaves."""
        before, total = self.left, first[0]
        self.left &= ~self.taken(first[1])
        while known:
            worth, taken = max((self.worth(taken, len(parts)), taken) for parts, taken in known.items())
            if worth <= 0:
                break
            total += worth
            self.left &= ~taken
        self.left = before
        return total

    def _improved(self, parts: Parts, worth: float) -> tuple[float, Parts]:
        """The best that can be reached by single changes, each for the better."""
        while True:
            near = ((self.worth(self.taken(other), sum(map(len, other))), other) for other in self._near(parts))
            best = min(near, key=_by_worth, default=(-math.inf, parts))
            if best[0] <= worth + 1e-9:
                return worth, parts
            worth, parts = best

    def _near(self, parts: Parts) -> Iterator[Parts]:
        for i, part in enumerate(parts):
            rest = parts[:i] + parts[i + 1 :]
            if len(rest) > 1 or any(len(each) == 1 for each in rest):
                yield rest
            if len(part) > 1:
                yield from ((*rest, part - {concept}) for concept in part)
            for other in self._apart.get(min(part), ()) if rest else ():
                if other not in part and all(other in self._apart[each] for each in part):
                    yield (*rest, part | {other})
        if len(parts) < MOST:
            used = frozenset().union(*parts)
            yield from ((*parts, frozenset([concept])) for concept in self.having if concept not in used)


def _exclusive(having: dict[Concept, int], total: int) -> dict[Concept, list[Concept]]:
    """Word -> the words that never stand beside it, though they would by chance."""
    counts = {concept: bits.bit_count() for concept, bits in having.items() if concept.kind == "word"}
    return {
        one: [
            other
            for other in counts
            if counts[one] * counts[other] >= EXPECTED * total and not having[one] & having[other]
        ]
        for one in counts
    }


def _by_worth(each: tuple[float, Parts]) -> tuple[float, list[list[Concept]]]:
    """The highest first; of equal ones always the same."""
    return -each[0], [sorted(part) for part in each[1]]


def _by_sum(each: tuple[float, float, Parts]) -> tuple[float, list[list[Concept]]]:
    return each[0], [sorted(part) for part in each[2]]


def _ll(f: int, n: int) -> float:
    return 0.0 if f in (0, n) else f * math.log(f / n) + (n - f) * math.log(1 - f / n)
