"""How the failure rate goes over a run. Rows are in the order in which they were asked."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from vlmprobe._util.checks import check_count
from vlmprobe.metrics.rates import Rate, rate
from vlmprobe.metrics.resampling import Difference, paired_difference


@dataclass(frozen=True)
class CumulativeRate:
    """A rate over all questions so far."""

    asked: int
    """Rows so far, scored or not."""
    rate: Rate


def cumulative_rates(
    wrong: Sequence[bool | None], *, cluster: Sequence[Hashable], points: int = 20, confidence: float = 0.95
) -> list[CumulativeRate]:
    """The failure rate over cumulative questions (the paper's appendix), at `points` evenly spaced places.

    Args:
        wrong: [N] True, False or None (unscored), in the order asked.
        cluster: [N] images.
        points: at most as many as there are rows.
        confidence: of the intervals, each by itself.

    Raises:
        ValueError: unequal lengths, another verdict, a number out of range.

    Example:
        >>> [str(point.rate) for point in cumulative_rates([True, False], cluster="ab", points=1)]
        ['0.500 [0.003, 0.997] n=2']
    """
    check_count("metrics::cumulative_rates", "points", points)
    places = sorted({round((i + 1) * len(wrong) / points) for i in range(points)} - {0})
    return [CumulativeRate(n, rate(wrong[:n], cluster=cluster[:n], confidence=confidence)) for n in places]


def rise(wrong: Sequence[bool | None], *, cluster: Sequence[Hashable], seed: int = 0) -> Difference:
    """The failure rate of the second half of the rows less that of the first, paired by image.

    A questioner that does not change has none; the paper's trained ones rise.

    Example:
        >>> rise([False, False, True, True], cluster="abab").value
        1.0
    """
    half = len(wrong) // 2
    return paired_difference(wrong[half:], wrong[:half], cluster_a=cluster[half:], cluster_b=cluster[:half], seed=seed)
