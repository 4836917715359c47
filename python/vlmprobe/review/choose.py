"""Which questions people label: drawn from the verifier's verdicts as strata, more where labels say more.

The aim is the FDR, R = wrong / valid. Where the truth of a question is another than its verdict, R moves by
(d_wrong - R d_valid) / valid. With an assumed share of wrong verdicts, the same in each stratum, that has a spread, and
Neyman's allocation takes n_h in proportion to N_h times it: mostly what was judged wrong and right, little of what was
judged invalid. No label has a say in how many are drawn, so that the estimates stay unbiased.

Within a stratum the order is that of a hash of the question's place: whoever stops early, or asks for more later, has
labelled a sample of each stratum drawn at random.

Source: Neyman 1934; Cochran, Sampling Techniques, 1977, section 5.5.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from vlmprobe._util.checks import check_count
from vlmprobe.metrics.judged import INVALID, RIGHT, WRONG

STRATA = (INVALID, RIGHT, WRONG)
ASSUMED = 0.1
"""Share of verdicts that are taken to be wrong."""
LEAST = 2
"""Of each stratum, where it has so many."""


@dataclass(frozen=True)
class Drawn:
    """A question that is to be labelled."""

    row: int
    """Of the questions that were given."""
    probability: float
    """With which it was drawn, in (0, 1]."""


def draw(judged: Sequence[int], places: Sequence[object], *, items: int, seed: int = 0) -> list[Drawn]:
    """The questions to label, in an order of which every beginning has its share of each stratum.

    Args:
        judged: [N] states by the verifier (`vlmprobe.metrics.judged`); those without a verdict are not drawn.
        places: [N] what tells the questions apart; with the seed it decides which are drawn.
        items: how many, at least 1; all where there are fewer.
        seed: of the draw.

    Raises:
        ValueError: fewer than one item.
    """
    check_count("draw", "items", items)
    strata = {h: sorted((_hash(seed, places[i]), i) for i, each in enumerate(judged) if each == h) for h in STRATA}
    sizes = allocation({h: len(rows) for h, rows in strata.items()}, items)
    found = [
        ((k + 0.5) / sizes[h], rows[k][1], sizes[h] / len(rows)) for h, rows in strata.items() for k in range(sizes[h])
    ]
    return [Drawn(row, probability) for _, row, probability in sorted(found)]


def allocation(counts: dict[int, int], items: int) -> dict[int, int]:
    """How many of each stratum are drawn.

    Args:
        counts: state -> questions that were judged so.
        items: in all.
    """
    left = min(items, sum(counts.values()))
    found = {h: min(LEAST, counts[h]) for h in counts}
    if sum(found.values()) >= left:
        return _first(found, left)
    weights = {h: counts[h] * spread(h, counts) for h in counts}
    open_ = {h for h in counts if found[h] < counts[h]}
    while sum(found.values()) < left and open_:
        total = sum(weights[h] for h in open_)
        wanted = {h: weights[h] / total if total else 1 / len(open_) for h in open_}
        best = max(sorted(open_), key=lambda h: wanted[h] / (found[h] + 1))
        found[best] += 1
        open_ = {h for h in open_ if found[h] < counts[h]}
    return found


def spread(state: int, counts: dict[int, int]) -> float:
    """By how much the FDR may move where a question of a stratum has another truth: the root of the mean square, times
    the valid questions."""
    valid = counts[RIGHT] + counts[WRONG]
    rate = counts[WRONG] / valid if valid else 0.5
    value = {INVALID: 0.0, RIGHT: -rate, WRONG: 1 - rate}
    moved = [(value[other] - value[state]) ** 2 for other in STRATA if other != state]
    return math.sqrt(ASSUMED * sum(moved) / len(moved))


def _first(found: dict[int, int], left: int) -> dict[int, int]:
    """As many as there are items for, those judged wrong first."""
    kept = {}
    for h in sorted(found, reverse=True):
        kept[h] = min(found[h], left)
        left -= kept[h]
    return kept


def _hash(seed: int, place: object) -> str:
    return hashlib.sha256(f"{seed} {place}".encode()).hexdigest()
