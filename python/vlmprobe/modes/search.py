"""Conjunctions of concepts whose questions fail more often than the others: all of them are looked at.

A candidate is a set of one to three concepts that at least `least_n` questions have. How many of these there are
decides the q-values, whether or not any of their questions failed. Candidates that take the same questions are one.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vlmprobe.modes.concepts import Concept
from vlmprobe.modes.rules import MOST

Conjunction = tuple[Concept, ...]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What was looked at."""

    looked_at: int
    """Different sets of questions that a candidate takes."""
    failing: dict[Conjunction, int]
    """The candidates with enough failures -> the questions that they take, bit i for question i."""


def candidates(rows: Sequence[frozenset[Concept]], wrong: int, *, least_n: int, least_failures: int) -> Candidates:
    """All candidates of some questions.

    Args:
        rows: [N] the concepts of each question.
        wrong: bit i: whether question i failed.
        least_n: questions of a candidate, at least 1.
        least_failures: failures of one that is returned.
    """
    common = {concept for concept, n in Counter(itertools.chain.from_iterable(rows)).items() if n >= least_n}
    counts: dict[Conjunction, list[int]] = {}  # n, failures, a sum that equal sets of questions share
    marks = random.Random(0)
    for i, row in enumerate(rows):
        failed, mark = wrong >> i & 1, marks.getrandbits(62)
        for some in conjunctions(row & common):
            known = counts.setdefault(some, [0, 0, 0])
            known[0] += 1
            known[1] += failed
            known[2] += mark
    enough = {some: each for some, each in counts.items() if each[0] >= least_n}
    failing = [some for some, (_, failures, _) in enough.items() if failures >= least_failures]
    having = bits(rows, {concept for some in failing for concept in some})
    return Candidates(
        looked_at=len({(n, mark) for n, _, mark in enough.values()}),
        failing={some: _all(having, some) for some in sorted(failing, key=lambda some: (len(some), some))},
    )


def bits(rows: Sequence[frozenset[Concept]], concepts: set[Concept]) -> dict[Concept, int]:
    """Concept -> the questions that have it, bit i for question i."""
    found: dict[Concept, int] = dict.fromkeys(concepts, 0)
    for i, row in enumerate(rows):
        for concept in row & concepts:
            found[concept] |= 1 << i
    return found


def conjunctions(row: frozenset[Concept]) -> Iterator[Conjunction]:
    """Those of up to `MOST` concepts of a question, each in order."""
    concepts = sorted(row)
    for size in range(1, MOST + 1):
        yield from itertools.combinations(concepts, size)


def _all(having: dict[Concept, int], some: Conjunction) -> int:
    found = having[some[0]]
    for concept in some[1:]:
        found &= having[concept]
    return found
