"""Agreement of annotators with intervals: the numbers of `vlmprobe.metrics.agreement`, images resampled."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from vlmprobe._util.checks import check_count
from vlmprobe.metrics._labels import codes
from vlmprobe.metrics.estimate import Estimate, Floats, check_confidence, resampled

Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Agreement:
    """How far annotators agree, each number with an interval by resampling images."""

    share: Estimate
    """Of an item's pairs of ratings that agree, the mean over the items: percent agreement, in [0, 1]."""
    alpha: Estimate
    """Krippendorff's, nominal."""
    kappa: Estimate | None
    """Cohen's, where there are two annotators."""

    def __str__(self) -> str:
        kappa = f", kappa {self.kappa}" if self.kappa else ""
        return f"agreement {self.share}, alpha {self.alpha}{kappa}"


def annotator_agreement(
    ratings: Sequence[Sequence[Hashable | None]],
    *,
    cluster: Sequence[Hashable],
    draws: int = 4000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Agreement:
    """`percent_agreement`, `krippendorff_alpha` and `cohen_kappa` with intervals.

    Items with fewer than two ratings are unscored. With two annotators the share is their percent agreement.

    Args:
        ratings: [items][annotators] ratings of any kind; None where an annotator did not rate.
        cluster: [items] images.
        draws, seed: of the bootstrap.
        confidence: of the intervals, in (0, 1).

    Returns:
        `Agreement`; intervals end at most at 1, and at least at 0 (share) or -1. Where resampled images all agree as
        well as those that were seen, they are for images with items on which annotators agree otherwise (`resampled`).
        NaN as in the single functions.

    Raises:
        ValueError: unequal lengths, items with other numbers of annotators, a number out of range.

    Example:
        >>> found = annotator_agreement([[1, 1], [0, 1], [0, 0], [1, None]], cluster=["a", "b", "c", "c"])
        >>> round(found.share.value, 3), round(found.kappa.value, 3), found.alpha.n, found.alpha.n_unscored
        (0.667, 0.4, 3, 1)
    """
    op = "metrics::annotator_agreement"
    if len(cluster) != len(ratings):
        raise ValueError(f"[{op}] cluster: expected {len(ratings)} rows, got {len(cluster)}")
    annotators = {len(item) for item in ratings}
    if len(annotators) > 1:
        raise ValueError(f"[{op}] ratings: expected items of as many annotators each, got {sorted(annotators)}")
    check_count(op, "draws", draws)
    check_confidence(op, confidence)
    kept = [i for i, item in enumerate(ratings) if sum(rating is not None for rating in item) >= 2]
    items, image = [ratings[i] for i in kept], np.array(codes([cluster[i] for i in kept]), dtype=np.int64)
    labels = list(dict.fromkeys(rating for item in items for rating in item if rating is not None))

    def estimate(rows: Floats, unlike: Floats, statistic: Statistic, least: float) -> Estimate:
        sums = np.zeros((int(image.max(initial=-1)) + 1, rows.shape[1]))
        np.add.at(sums, image, rows)
        value, low, high = resampled(sums, statistic, unlike=unlike, draws=draws, seed=seed, confidence=confidence)
        return Estimate(value, max(low, least), min(high, 1.0), len(kept), len(ratings) - len(kept), len(sums))

    common = Counter(rating for item in items for rating in item if rating is not None).most_common(2)
    others = [(a, b) for a, _ in common for b, _ in common]  # an item as two annotators could have rated it
    share = estimate(_shares(items), np.array([[0.0, 1.0], [1.0, 1.0]]), _share, 0.0)
    alpha = estimate(_counts(items, labels), _counts(others, labels), _alpha, -1.0)
    kappa = estimate(_tables(items, labels), _tables(others, labels), _kappa, -1.0) if annotators == {2} else None
    return Agreement(share, alpha, kappa)


def _over(upper: Floats, lower: Floats) -> Floats:
    """NaN over 0."""
    return np.divide(upper, lower, out=np.full(np.shape(lower), np.nan), where=lower != 0)


def _share(sums: Floats) -> Floats:
    return _over(sums[..., 0], sums[..., 1])


def _alpha(sums: Floats) -> Floats:
    """Of the agreeing ratings and the ratings of each label."""
    agreeing, given = sums[..., 0], sums[..., 1:]
    n = given.sum(-1)
    expected = n * (n - 1) - (given * (given - 1)).sum(-1)
    return 1 - _over((n - agreeing) * (n - 1), expected)


def _kappa(sums: Floats) -> Floats:
    """Of the table [labels x labels], flat."""
    size = math.isqrt(sums.shape[-1])
    table = sums.reshape(*sums.shape[:-1], size, size)
    n = sums.sum(-1)
    chance = _over((table.sum(-1) * table.sum(-2)).sum(-1), n**2)
    observed = _over(np.trace(table, axis1=-2, axis2=-1), n)
    return _over(observed - chance, 1 - chance)


Items = Sequence[Sequence[Hashable | None]]


def _counts(items: Items, labels: Sequence[Hashable]) -> Floats:
    """[items, 1 + labels] how many ratings agree, each with the share of the item's others, and how many there are."""
    given = np.array([[list(item).count(label) for label in labels] for item in items], dtype=float)
    given = given.reshape(len(items), len(labels))
    return np.column_stack([(given * (given - 1)).sum(1) / np.maximum(given.sum(1) - 1, 1), given])


def _shares(items: Items) -> Floats:
    """[items, 2] the share of ratings that agree, and 1."""
    labels = list(dict.fromkeys(rating for item in items for rating in item if rating is not None))
    agreeing, *given = _counts(items, labels).T
    return np.column_stack([agreeing / np.maximum(np.sum(given, axis=0), 1), np.ones(len(items))])


def _tables(items: Sequence[Sequence[Hashable | None]], labels: Sequence[Hashable]) -> Floats:
    """[items, labels x labels] which pair of ratings the two annotators gave."""
    place = {label: i for i, label in enumerate(labels)}
    rows = np.zeros((len(items), len(labels) ** 2))
    for row, (a, b) in zip(rows, items, strict=True):
        row[place[a] * len(labels) + place[b]] = 1
    return rows
