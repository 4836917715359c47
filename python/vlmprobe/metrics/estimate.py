"""A number with its interval, for what is not a rate; and intervals of functions of sums over images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlmprobe import _core

_native = _core.metrics
Floats = NDArray[np.float64]
UNBOUNDED = -math.inf, math.inf
TIE = 1e-12  # of a number that is at least 1: what differs by less is equal


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval (or another confidence)."""

    value: float
    """NaN where nothing was there to count."""
    low: float
    high: float
    n: int
    """Rows that count."""
    n_unscored: int
    """Rows without a value; they enter nothing else."""
    clusters: int
    """Images with a row that counts."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


def resampled(
    sums: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    unlike: Floats,
    draws: int,
    seed: int,
    confidence: float,
) -> tuple[float, float, float]:
    """A function of sums over images, and its interval by resampling images.

    The quantiles of the draws, widened about the value as in include/vlmprobe/metrics/bootstrap.h. Draws in which the
    function is not a number are left out. Where all others are equal, the images seen do not differ, and the interval
    is for those that were not: its ends are the function with t^2 rows of an `unlike` kind added, t the quantile of
    Student's t with m - 1 degrees of freedom. For a share that is 0 or 1 that is Wilson's bound. With one image, or
    where no such row gives another number, the interval is [-inf, inf].

    Args:
        sums: [m, J] of each image.
        statistic: [..., J] to [...].
        unlike: [K, J] rows as an image that is unlike the others could have.
        draws, seed: of the bootstrap.
        confidence: of the interval, in (0, 1).

    Returns:
        Value, low and high.
    """
    value, drawn = _drawn(sums, statistic, draws, seed)
    if not len(drawn):
        return value, *UNBOUNDED
    if np.ptp(drawn) <= TIE * max(1.0, abs(value)):
        t = _native.t_quantile((1 + confidence) / 2, len(sums) - 1)
        others = statistic(sums.sum(0) + t**2 * unlike)
        others = others[np.abs(others - value) > TIE * max(1.0, abs(value))]  # neither NaN nor the same
        return (value, min(value, others.min()), max(value, others.max())) if len(others) else (value, *UNBOUNDED)
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    low, high = value + widening(len(sums), confidence) * (np.quantile(drawn, tails) - value)
    return value, min(float(low), value), max(float(high), value)


def resampled_count(
    sums: Floats, statistic: Callable[[Floats], Floats], *, draws: int, seed: int, confidence: float
) -> tuple[float, float, float]:
    """As `resampled`, for a number of things over a threshold: the value and so many standard deviations of the draws.

    Such a number is no smooth function of the sums, and its draws lie to one side of it (what was never seen is in no
    draw), so their quantiles would be off; their spread is not. It is taken to be at least that of a single thing that
    hangs on a single image, which a draw leaves out with q = (1 - 1/m)^m: sqrt(q (1 - q)).
    """
    value, drawn = _drawn(sums, statistic, draws, seed)
    if not len(drawn):
        return value, *UNBOUNDED
    m = len(sums)
    left_out = (1 - 1 / m) ** m
    spread = max(float(drawn.std()), math.sqrt(left_out * (1 - left_out)))
    reach = widening(m, confidence) * _native.normal_quantile((1 + confidence) / 2) * spread
    return value, value - reach, value + reach


def _drawn(sums: Floats, statistic: Callable[[Floats], Floats], draws: int, seed: int) -> tuple[float, Floats]:
    """The statistic, and that of resampled images where it is a number; none of one image, or without a value."""
    m, value = len(sums), float(statistic(sums.sum(0)))
    if m < 2 or math.isnan(value):
        return value, np.empty(0)
    weights = np.random.default_rng(seed).multinomial(m, np.full(m, 1 / m), size=draws)
    drawn = statistic(weights @ sums)
    return value, drawn[~np.isnan(drawn)]


def widening(m: int, confidence: float) -> float:
    """sqrt(m/(m - 1)) t/z, by which m resampled images, at least 2, understate how far a number can be off."""
    upper = (1 + confidence) / 2
    t, z = _native.t_quantile(upper, m - 1), _native.normal_quantile(upper)
    return math.sqrt(m / (m - 1)) * t / z


def wilson(p: float, n: float, t: float) -> tuple[float, float]:
    """Wilson's interval of a rate p, cut to [0, 1], seen n times."""
    p, square = min(max(p, 0.0), 1.0), t * t / n
    centre, half = p + square / 2, math.sqrt(square * p * (1 - p) + square * square / 4)
    low, high = max(0.0, (centre - half) / (1 + square)), min(1.0, (centre + half) / (1 + square))
    return low if p > 0 else 0.0, high if p < 1 else 1.0


def check_confidence(op: str, confidence: float) -> None:
    """A number in (0, 1).

    Raises:
        ValueError: anything else.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"[{op}] confidence: expected a number in (0, 1), got {confidence}")
