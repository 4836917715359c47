"""Rates over clustered rows, and differences of two methods on the same images."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from vlmprobe import _core
from vlmprobe.metrics._labels import codes

_native = _core.metrics


@dataclass(frozen=True)
class Rate:
    """A rate with its 95 % interval (or another confidence), which counts clusters rather than rows."""

    value: float
    """Successes over n; NaN for n = 0."""
    low: float
    """Lower end of the interval, in [0, 1]."""
    high: float
    """Upper end of the interval, in [0, 1]."""
    n: int
    """Scored rows."""
    n_unscored: int
    """Rows without a verdict; they enter nothing else."""
    n_effective: float
    """n / design_effect: as many independent rows would say as much."""
    design_effect: float
    """Variance given the clusters over the variance of independent rows, at least 1."""
    clusters: int
    """Clusters with a scored row: images."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


def _successes(values: Sequence[bool | None] | torch.Tensor) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values
    unknown = next((value for value in values if value is not None and value not in (0, 1)), None)
    if unknown is not None:
        raise ValueError(f"[metrics::rate] successes: expected True, False or None (unscored), got {unknown!r}")
    return torch.tensor([-1 if value is None else int(value) for value in values], dtype=torch.int8)


def rate(
    successes: Sequence[bool | None] | torch.Tensor,
    *,
    cluster: Sequence[Hashable] | torch.Tensor,
    confidence: float = 0.95,
) -> Rate:
    """A rate over clustered rows with Wilson's interval at the effective sample size.

    Args:
        successes: [N] True, False or None (unscored); or a bool tensor, or an int8 one with -1 for unscored.
        cluster: [N] which image each row belongs to: any hashable labels, or an int64 tensor.
        confidence: of the interval, in (0, 1).

    Returns:
        `Rate`. Without scored rows the value is NaN and the interval [0, 1]; with one cluster the interval is [0, 1].

    Raises:
        ValueError: unequal lengths, another shape, dtype or value, a confidence out of range.

    Example:
        >>> print(rate([True, False, True, None], cluster=["a", "b", "c", "c"]))
        0.667 [0.063, 0.983] n=3

    Source: Wilson 1927; Korn and Graubard 1998; Kish 1965.
    """
    labels = cluster if isinstance(cluster, torch.Tensor) else torch.tensor(codes(cluster), dtype=torch.int64)
    result = _native.rate(_successes(successes), labels, confidence)
    return Rate(
        value=result.value,
        low=result.low,
        high=result.high,
        n=result.n,
        n_unscored=result.n_unscored,
        n_effective=result.n_effective,
        design_effect=result.design_effect,
        clusters=result.clusters,
    )


def t_quantile(p: float, *, df: float) -> float:
    """The p-quantile of Student's t with df degrees of freedom.

    Raises:
        ValueError: p outside (0, 1), df outside (0, inf).

    Example:
        >>> round(t_quantile(0.975, df=10), 4)
        2.2281
    """
    return _native.t_quantile(p, df)


@dataclass(frozen=True)
class Difference:
    """The difference of two rates on the same images."""

    value: float
    """The first rate less the second; NaN where one has no rows."""
    low: float
    """Lower end of the interval, in [-1, 1]."""
    high: float
    """Upper end of the interval, in [-1, 1]."""
    p: float
    """Of no difference, two-sided, in (0, 1]."""
    n: tuple[int, int]
    """Scored rows of each."""
    n_unscored: tuple[int, int]
    """Rows of each without a verdict; they enter nothing else."""
    clusters: int
    """Images with a scored row of either."""

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}] n={self.n[0]}, {self.n[1]} p={self.p:.2g}"


def paired_difference(
    a: Sequence[bool | None],
    b: Sequence[bool | None],
    *,
    cluster_a: Sequence[Hashable],
    cluster_b: Sequence[Hashable],
    seed: int = 0,
    draws: int = 10_000,
    confidence: float = 0.95,
) -> Difference:
    """How two rates differ, paired by image: images are resampled, with all rows of both.

    Args:
        a, b: [N_a], [N_b] True, False or None (unscored).
        cluster_a, cluster_b: [N_a], [N_b] the image of each row, under the same names.
        seed, draws: of the bootstrap.
        confidence: of the interval, in (0, 1).

    Returns:
        `Difference`; with one image, or without rows of one, the interval is [-1, 1].

    Raises:
        ValueError: unequal lengths, other values, a number out of range.

    Example:
        >>> found = paired_difference([True, True], [True, False], cluster_a=["x", "y"], cluster_b=["x", "y"])
        >>> found.value, found.clusters
        (0.5, 2)

    Source: include/vlmprobe/metrics/bootstrap.h.
    """
    rows_a, rows_b = _scored("a", a, cluster_a), _scored("b", b, cluster_b)
    order = list(dict.fromkeys(image for image, _ in (*rows_a, *rows_b)))
    sums = [_sums(rows, order) for rows in (rows_a, rows_b)]
    found = _native.paired_difference(*sums[0], *sums[1], seed, draws, confidence)
    return Difference(
        value=found.value,
        low=found.low,
        high=found.high,
        p=found.p,
        n=(len(rows_a), len(rows_b)),
        n_unscored=(len(a) - len(rows_a), len(b) - len(rows_b)),
        clusters=len(order),
    )


def _scored(name: str, values: Sequence[bool | None], cluster: Sequence[Hashable]) -> list[tuple[Hashable, bool]]:
    if len(values) != len(cluster):
        raise ValueError(
            f"[metrics::paired_difference] cluster_{name}: expected {len(values)} rows, got {len(cluster)}"
        )
    unknown = next((value for value in values if value not in (True, False, None)), None)
    if unknown is not None:
        raise ValueError(f"[metrics::paired_difference] {name}: expected True, False or None, got {unknown!r:.60}")
    return [(image, bool(value)) for image, value in zip(cluster, values, strict=True) if value is not None]


def _sums(rows: Sequence[tuple[Hashable, bool]], order: Sequence[Hashable]) -> tuple[list[float], list[float]]:
    place = {image: i for i, image in enumerate(order)}
    successes, totals = [0.0] * len(order), [0.0] * len(order)
    for image, value in rows:
        successes[place[image]] += value
        totals[place[image]] += 1
    return successes, totals
