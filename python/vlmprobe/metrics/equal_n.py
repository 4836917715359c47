"""Diversity at equal n: measures that grow with the number of questions, cut to one number before they are compared.

Which rows: n of them drawn without replacement by a seed, the same for every measure of as many rows. The interval
leaves out one group of images after the other (a jackknife), so it counts images and not rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import torch

from vlmprobe._util.checks import check_count
from vlmprobe.metrics._labels import codes
from vlmprobe.metrics.diversity import prefix_entropy, prefix_entropy_normalized, vendi
from vlmprobe.metrics.estimate import TIE, UNBOUNDED, Estimate, check_confidence
from vlmprobe.metrics.rates import t_quantile

GROUPS = 20


def equal_rows(rows: int, n: int, *, seed: int = 0) -> list[int]:
    """n of so many rows, drawn without replacement and in order.

    Raises:
        ValueError: n below 1 or above the number of rows.

    Example:
        >>> equal_rows(4, 4)
        [0, 1, 2, 3]
    """
    check_count("metrics::equal_rows", "n", n)
    if n > rows:
        raise ValueError(f"[metrics::equal_rows] n: expected at most {rows}, the number of rows, got {n}")
    return sorted(np.random.default_rng(seed).permutation(rows)[:n].tolist())


def at_equal_n(
    measure: Callable[[Any], float],
    rows: Any,
    n: int,
    *,
    cluster: Sequence[Hashable],
    bounds: tuple[float, float] = UNBOUNDED,
    groups: int = GROUPS,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """A measure of n of the rows, with an interval for other images.

        deviation^2 = (g - 1)/g sum_j (x_j - mean x)^2     x_j: the measure without the images of group j

    and Student's t with g - 1 degrees of freedom. Where no group changes the measure, or the measure of what is left is
    not a number, nothing is known of other images, and the interval is `bounds`.

    Args:
        measure: of rows: `vendi`, `prefix_entropy`, `effective_number`, ...
        rows: [N] texts, labels, or a tensor [N, ...].
        n: at most N.
        cluster: [N] images.
        bounds: of the measure, whatever the rows; the interval ends there, and is all of it with one image or no value.
        groups: g, at least 2; as many as there are images where these are fewer.
        seed: which rows, and which images go together.
        confidence: of the interval, in (0, 1).

    Returns:
        `Estimate` with n rows; `n_unscored` is 0.

    Raises:
        ValueError: unequal lengths, a number out of range.

    Example:
        >>> from vlmprobe import metrics
        >>> found = at_equal_n(metrics.effective_number, list("aabb"), 4, cluster=list("wxyz"))
        >>> round(found.value, 6), found.n
        (2.0, 4)

    Source: delete-a-group jackknife, Kott 2001.
    """
    op = "metrics::at_equal_n"
    if len(cluster) != len(rows):
        raise ValueError(f"[{op}] cluster: expected {len(rows)} rows, got {len(cluster)}")
    check_confidence(op, confidence)
    if groups < 2:
        raise ValueError(f"[{op}] groups: expected at least 2, got {groups}")
    kept = np.array(equal_rows(len(rows), n, seed=seed))
    image = np.array(codes([cluster[i] for i in kept]))
    images, value = int(image.max()) + 1, measure(_taken(rows, kept))
    g = min(groups, images)
    if g < 2 or math.isnan(value):
        return Estimate(value, *bounds, n, 0, images)
    deviation = _jackknife(measure, rows, kept, group=(np.random.default_rng(seed).permutation(images) % g)[image])
    if not deviation > TIE * max(1.0, abs(value)):
        return Estimate(value, *bounds, n, 0, images)
    reach = t_quantile((1 + confidence) / 2, df=g - 1) * deviation
    low, high = max(value - reach, min(bounds[0], value)), min(value + reach, max(bounds[1], value))
    return Estimate(value, low, high, n, 0, images)


def _jackknife(measure: Callable[[Any], float], rows: Any, kept: np.ndarray, *, group: np.ndarray) -> float:
    """The deviation of a measure over the `kept` rows, by leaving out one group [kept] of them after the other."""
    g = int(group.max()) + 1
    without = np.array([measure(_taken(rows, kept[group != j])) for j in range(g)])
    return math.sqrt((g - 1) / g * ((without - without.mean()) ** 2).sum())


def _taken(rows: Any, places: np.ndarray) -> Any:
    return rows[torch.from_numpy(places)] if isinstance(rows, torch.Tensor) else [rows[i] for i in places]


def vendi_at(embeddings: torch.Tensor, n: int, *, cluster: Sequence[Hashable], seed: int = 0) -> Estimate:
    """`vendi` of n of the rows (the paper's SD at equal n); between 1 and min(n, d)."""
    bounds = 1.0, float(min(n, embeddings.shape[-1]))
    return at_equal_n(vendi, embeddings, n, cluster=cluster, bounds=bounds, seed=seed)


def prefix_entropy_at(
    texts: Sequence[str], n: int, *, cluster: Sequence[Hashable], normalized: bool = False, seed: int = 0
) -> Estimate:
    """`prefix_entropy`, or its normalised form, of n of the texts (the paper's LD at equal n); at most log n, or 1."""
    check_count("metrics::prefix_entropy_at", "n", n)
    measure = prefix_entropy_normalized if normalized else prefix_entropy
    bounds = 0.0, 1.0 if normalized else math.log(n)
    return at_equal_n(measure, texts, n, cluster=cluster, bounds=bounds, seed=seed)
