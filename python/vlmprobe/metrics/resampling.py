"""Means over clustered rows, and differences of two methods on the same images: intervals by resampling images."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from vlmprobe import _core
from vlmprobe.metrics.estimate import Estimate

_native = _core.metrics


@dataclass(frozen=True)
class Difference:
    """The difference of two rates, or of two means, on the same images."""

    value: float
    """The first less the second; NaN where one has no rows."""
    low: float
    """Lower end of the interval; of rates in [-1, 1]."""
    high: float
    """Upper end of the interval; of rates in [-1, 1]."""
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
    op = "paired_difference"
    rows_a, rows_b = _truths(op, "a", a, cluster_a), _truths(op, "b", b, cluster_b)
    return _difference(_native.paired_difference, (a, b), (rows_a, rows_b), seed, draws, confidence)


def mean(
    values: Sequence[float | None],
    *,
    cluster: Sequence[Hashable],
    seed: int = 0,
    draws: int = 10_000,
    confidence: float = 0.95,
) -> Estimate:
    """The mean of a number that each question has (its skills, its calls), with an interval by resampling images.

    Args:
        values: [N] finite numbers; None where there is none.
        cluster: [N] images.
        seed, draws: of the bootstrap.
        confidence: of the interval, in (0, 1).

    Returns:
        `Estimate`; with one image the interval is [-inf, inf], without a value the mean is NaN.

    Raises:
        ValueError: unequal lengths, a number out of range.

    Example:
        >>> found = mean([3, 1, None, 2], cluster=["x", "x", "y", "z"])
        >>> found.value, found.n, found.n_unscored, found.clusters
        (2.0, 3, 1, 2)

    Source: include/vlmprobe/metrics/bootstrap.h.
    """
    rows = _rows("mean", "values", values, cluster)
    order = list(dict.fromkeys(image for image, _ in rows))
    found = _native.ratio(*_sums(rows, order), seed, draws, confidence)
    return Estimate(found.value, found.low, found.high, len(rows), len(values) - len(rows), found.clusters)


def mean_difference(
    a: Sequence[float | None],
    b: Sequence[float | None],
    *,
    cluster_a: Sequence[Hashable],
    cluster_b: Sequence[Hashable],
    seed: int = 0,
    draws: int = 10_000,
    confidence: float = 0.95,
) -> Difference:
    """How two means differ, paired by image: as `paired_difference`, for any finite numbers.

    Example:
        >>> mean_difference([3, 2], [1, 1], cluster_a=["x", "y"], cluster_b=["x", "y"]).value
        1.5
    """
    op = "mean_difference"
    rows_a, rows_b = _rows(op, "a", a, cluster_a), _rows(op, "b", b, cluster_b)
    return _difference(_native.ratio_difference, (a, b), (rows_a, rows_b), seed, draws, confidence)


Rows = list[tuple[Hashable, float]]


def _rows(op: str, name: str, values: Sequence[float | None], cluster: Sequence[Hashable]) -> Rows:
    """(image, number) of the rows that have one."""
    if len(values) != len(cluster):
        column = "cluster" if name == "values" else f"cluster_{name}"
        raise ValueError(f"[metrics::{op}] {column}: expected {len(values)} rows, got {len(cluster)}")
    return [(image, float(value)) for image, value in zip(cluster, values, strict=True) if value is not None]


def _truths(op: str, name: str, values: Sequence[bool | None], cluster: Sequence[Hashable]) -> Rows:
    unknown = next((value for value in values if value not in (True, False, None)), None)
    if unknown is not None:
        raise ValueError(f"[metrics::{op}] {name}: expected True, False or None, got {unknown!r:.60}")
    return _rows(op, name, values, cluster)


def _difference(
    native: Callable[..., _core.metrics.Difference],
    columns: tuple[Sequence[object], Sequence[object]],
    rows: tuple[Rows, Rows],
    seed: int,
    draws: int,
    confidence: float,
) -> Difference:
    order = list(dict.fromkeys(image for image, _ in (*rows[0], *rows[1])))
    found = native(*_sums(rows[0], order), *_sums(rows[1], order), seed, draws, confidence)
    return Difference(
        value=found.value,
        low=found.low,
        high=found.high,
        p=found.p,
        n=(len(rows[0]), len(rows[1])),
        n_unscored=(len(columns[0]) - len(rows[0]), len(columns[1]) - len(rows[1])),
        clusters=len(order),
    )


def _sums(rows: Rows, order: Sequence[Hashable]) -> tuple[list[float], list[float]]:
    place = {image: i for i, image in enumerate(order)}
    sums, totals = [0.0] * len(order), [0.0] * len(order)
    for image, value in rows:
        sums[place[image]] += value
        totals[place[image]] += 1
    return sums, totals
