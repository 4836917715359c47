"""Do two skills together fail beyond what each does alone?

Questions fall into four cells: with neither skill, with A, with B, with both. With h = 1/2 (Haldane) added to the
failures s and the successes f of each cell,

    logit_k     = log (s_k + h) - log (f_k + h)
    interaction = logit_both - logit_A - logit_B + logit_neither

It is 0 where the skills' effects on the odds of failing multiply, and above 0 where both together fail beyond that. Its
variance counts images, and is at least the sum of 1/(s_k + h) + 1/(f_k + h): that of single rows.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import ModuleType

import numpy as np

from vlmprobe._util.checks import check_count
from vlmprobe._util.optional import require
from vlmprobe.metrics._cells import Cells, cells, corrected, scored
from vlmprobe.metrics.estimate import check_confidence
from vlmprobe.metrics.skills import Skill

HALDANE = 0.5
AT_LEAST = 5  # scored questions in each of the four cells
CONTRAST = np.array([1.0, -1.0, -1.0, 1.0])  # neither, A, B, both


@dataclass(frozen=True)
class Interaction:
    """Two skills in one question."""

    skills: tuple[Skill, Skill]
    value: float
    """Log-odds of failing, beyond the sum of what each skill adds."""
    low: float
    high: float
    p: float
    """Of 0, two-sided; at least 2^(1 - m) of m images, what an exact test by signs can give."""
    q: float
    """The same, corrected for all pairs (Benjamini-Hochberg)."""
    n: tuple[int, int, int, int]
    """Scored questions with neither, with the first only, with the second only, with both."""
    failures: tuple[int, int, int, int]
    """Of them, answered wrongly."""


@dataclass(frozen=True)
class Interactions:
    """All pairs of skills."""

    pairs: tuple[Interaction, ...]
    """The largest interaction first; ties by name."""
    n: int
    """Scored questions."""
    n_unscored: int
    n_small: int
    """Pairs left out for a cell with too few questions."""


def interactions(
    skills: Sequence[Collection[Skill]],
    wrong: Sequence[bool | None],
    *,
    cluster: Sequence[Hashable],
    at_least: int = AT_LEAST,
    haldane: float = HALDANE,
    confidence: float = 0.95,
) -> Interactions:
    """The interaction of each pair of skills, with an interval by Student's t.

    Degrees of freedom: images of the cell that has the fewest, less one. Skills of a question that are neither A nor B
    are not held fixed: a pair stands for whatever goes with it.

    Args:
        skills: [N] of each valid question.
        wrong: [N] True, False or None (unscored).
        cluster: [N] images.
        at_least: pairs with fewer scored questions in a cell, or with a cell of one image, are left out.
        haldane: h, at least 0; with 0 a cell without a failure or a success has no logit and its pair is left out.
        confidence: of the intervals, in (0, 1).

    Raises:
        ValueError: unequal lengths, another verdict, a number out of range.
        ModuleNotFoundError: SciPy is missing; names the extra.

    Source: Haldane 1956; Woolf 1955; clustered by image as in Liang and Zeger 1986.
    """
    op = "interactions"
    kept, failed, image = scored(op, len(skills), wrong, cluster)
    check_count(f"metrics::{op}", "at_least", at_least)
    check_confidence(f"metrics::{op}", confidence)
    if not (haldane >= 0 and math.isfinite(haldane)):
        raise ValueError(f"[metrics::{op}] haldane: expected a finite number of at least 0, got {haldane}")
    stats = require("scipy.stats", extra="metrics")
    names = sorted({skill for i in kept for skill in skills[i]})
    has = np.array([[skill in skills[i] for skill in names] for i in kept], dtype=np.int64).reshape(
        len(kept), len(names)
    )
    found, small = [], 0
    for a, b in combinations(range(len(names)), 2):
        split = cells(failed, has[:, a] + 2 * has[:, b], image, 4)
        estimate = _estimate(split, at_least, haldane, confidence, stats)
        if estimate is None:
            small += 1
        else:
            found.append(((names[a], names[b]), estimate, split))
    q = corrected([estimate[3] for _, estimate, _ in found], stats)
    pairs = [
        Interaction(pair, *estimate, each, _four(split.n), _four(split.failures))
        for (pair, estimate, split), each in zip(found, q, strict=True)
    ]
    pairs.sort(key=lambda each: (-each.value, each.skills))
    return Interactions(tuple(pairs), len(kept), len(wrong) - len(kept), small)


def _four(counts: np.ndarray) -> tuple[int, int, int, int]:
    neither, a, b, both = (int(count) for count in counts)
    return neither, a, b, both


def _estimate(
    split: Cells, at_least: int, haldane: float, confidence: float, stats: ModuleType
) -> tuple[float, float, float, float] | None:
    """Value, low, high and p; None where a cell is too small."""
    wrong, right = split.failures + haldane, split.n - split.failures + haldane
    if (split.n < at_least).any() or split.df < 1 or (wrong == 0).any() or (right == 0).any():
        return None
    value = float(CONTRAST @ np.log(wrong / right))
    m = len(split.residuals)
    influence = split.residuals * (1 / wrong + 1 / right)  # of an image on a logit: d logit / d failures
    clustered = m / (m - 1) * ((influence @ CONTRAST) ** 2).sum()
    deviation = math.sqrt(max(clustered, (1 / wrong + 1 / right).sum()))
    reach = float(stats.t.ppf((1 + confidence) / 2, split.df)) * deviation
    low, high = value - reach, value + reach
    p = max(2 * float(stats.t.sf(abs(value) / deviation, split.df)), split.least_p())
    if p >= 1 - confidence:  # p and the interval say the same of 0
        low, high = min(low, 0.0), max(high, 0.0)
    return value, low, high, p
