"""How well two judges, or several annotators, agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence


def percent_agreement(a: Sequence[Hashable | None], b: Sequence[Hashable | None]) -> float:
    """Share in [0, 1] of the items that both rated, on which they agree; NaN for none.

    Args:
        a, b: [N] ratings of any kind; None where an item was not rated.

    Raises:
        ValueError: unequal lengths.

    Example:
        >>> percent_agreement([True, False, None], [True, True, True])
        0.5
    """
    pairs = _pairs("percent_agreement", a, b)
    return sum(x == y for x, y in pairs) / len(pairs) if pairs else math.nan


def cohen_kappa(a: Sequence[Hashable | None], b: Sequence[Hashable | None]) -> float:
    """Agreement beyond chance: (p_o - p_e)/(1 - p_e), p_e from each judge's own frequencies.

    Args:
        a, b: [N] ratings of any kind; None where an item was not rated.

    Returns:
        At most 1; 0 for chance. NaN without items, and where both always give one and the same rating (p_e = 1).

    Raises:
        ValueError: unequal lengths.

    Example:
        >>> cohen_kappa([1, 1, 0, 0], [1, 0, 0, 0])
        0.5

    Source: Cohen 1960.
    """
    pairs = _pairs("cohen_kappa", a, b)
    if not pairs:
        return math.nan
    first, second = Counter(x for x, _ in pairs), Counter(y for _, y in pairs)
    chance = sum(count * second[label] for label, count in first.items()) / len(pairs) ** 2
    observed = sum(x == y for x, y in pairs) / len(pairs)
    return math.nan if chance == 1 else (observed - chance) / (1 - chance)


def krippendorff_alpha(ratings: Sequence[Sequence[Hashable | None]]) -> float:
    """Agreement of several annotators on nominal ratings, not all of whom rated everything: 1 - D_o/D_e.

    Args:
        ratings: [items][annotators] ratings of any kind; None where an annotator did not rate. Items with fewer than
            two ratings say nothing and are left out.

    Returns:
        At most 1; 0 for chance. NaN without a pair of ratings, and where only one rating was ever given.

    Example:
        >>> round(krippendorff_alpha([[1, 1], [2, 2], [1, 2]]), 3)
        0.444

    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011.
    """
    total: Counter[Hashable] = Counter()
    agreeing = 0.0
    for item in ratings:
        given = Counter(rating for rating in item if rating is not None)
        count = given.total()
        if count < 2:
            continue
        total.update(given)
        agreeing += sum(n * (n - 1) for n in given.values()) / (count - 1)
    n = total.total()
    chance = sum(count * (count - 1) for count in total.values())
    if n < 2 or chance == n * (n - 1):
        return math.nan
    return 1 - (n - agreeing) * (n - 1) / (n * (n - 1) - chance)


def _pairs(op: str, a: Sequence[Hashable | None], b: Sequence[Hashable | None]) -> list[tuple[Hashable, Hashable]]:
    if len(a) != len(b):
        raise ValueError(f"[metrics::{op}] b: expected {len(a)} ratings, got {len(b)}")
    return [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
