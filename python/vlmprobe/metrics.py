"""Rates with intervals, and measures of diversity. Formulas and edge cases: `include/vlmprobe/metrics/`.

    fdr = metrics.rate(wrong, cluster=image)        # 0.476 [0.441, 0.511] n=1536
    kinds = metrics.effective_number(families)

Measures of diversity grow with the number of questions: report n with them and compare at equal n.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from vlmprobe import _core

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


def _codes(labels: Sequence[Hashable]) -> list[int]:
    """Labels of any kind as numbers, in order of first appearance."""
    codes: dict[Hashable, int] = {}
    return [codes.setdefault(label, len(codes)) for label in labels]


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
    labels = cluster if isinstance(cluster, torch.Tensor) else torch.tensor(_codes(cluster), dtype=torch.int64)
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


def entropy(labels: Sequence[Hashable]) -> float:
    """Entropy of the labels' frequencies, in nats; NaN for no label.

    Example:
        >>> round(entropy(["count", "colour"]), 4)
        0.6931
    """
    return _native.entropy(_codes(labels))


def effective_number(labels: Sequence[Hashable]) -> float:
    """Exponential of the entropy: as many equally frequent kinds would be as diverse; NaN for no label.

    Example:
        >>> effective_number(["count", "count", "count"])
        1.0
    """
    return _native.effective_number(_codes(labels))


def duplicates(texts: Sequence[str]) -> float:
    """Share of the texts that occurred earlier, compared character by character; NaN for no text.

    Example:
        >>> duplicates(["Why?", "How?", "Why?", "Why?"])
        0.5
    """
    return _native.duplicates(_codes(texts))


def _prefix_codes(texts: Sequence[str], length: int) -> list[int]:
    from vlmprobe import text

    return _codes(text.prefixes(texts, length=length))


def prefix_entropy(texts: Sequence[str], *, length: int = 2) -> float:
    """Entropy of the questions' first `length` words, in nats (the paper's LD); NaN for no text.

    Args:
        texts: [n] questions.
        length: words of the prefix, as `vlmprobe.text.prefix` cuts them; at least 1.

    Raises:
        ValueError: length below 1.
    """
    return _native.entropy(_prefix_codes(texts, length))


def prefix_entropy_normalized(texts: Sequence[str], *, length: int = 2) -> float:
    """`prefix_entropy` over log(n), in [0, 1]: 1 when all n prefixes differ; NaN for fewer than two texts."""
    return _native.normalized_entropy(_prefix_codes(texts, length))


def vendi(embeddings: torch.Tensor) -> float:
    """Vendi score: the effective number of different rows (the paper's SD, pooled over the questions).

    Args:
        embeddings: [n, d] float32 or float64, rows of unit length.

    Returns:
        Between 1 (all rows equal) and min(n, d); NaN for n = 0.

    Raises:
        ValueError: another shape or dtype, a row that is not finite or not of unit length.

    Example:
        >>> round(vendi(torch.eye(3)), 6)
        3.0

    Source: Friedman and Dieng, arXiv 2210.02410.
    """
    return _native.vendi(embeddings)


class VendiAccumulator:
    """The Vendi score over a stream: keeps the second moment [d, d], so memory and cost do not grow with n.

    Example:
        >>> accumulator = VendiAccumulator(3)
        >>> accumulator.add(torch.eye(3))
        >>> round(accumulator.value(), 6)
        3.0
    """

    def __init__(self, dimension: int) -> None:
        """`dimension` is d, at least 1."""
        self._accumulator = _native.VendiAccumulator(dimension)

    def add(self, rows: torch.Tensor) -> None:
        """Adds [n, d] rows of unit length, float32 or float64."""
        self._accumulator.add(rows)

    def merge(self, other: VendiAccumulator) -> None:
        """Adds what another accumulator of the same d has seen."""
        self._accumulator.merge(other._accumulator)

    def merge_moment(self, moment: torch.Tensor, *, count: int) -> None:
        """Adds what another rank sent: its `moment` [d, d] float64 and its `count`."""
        self._accumulator.merge(moment, count)

    def value(self) -> float:
        """The score of all rows so far; NaN before the first."""
        return self._accumulator.value()

    @property
    def moment(self) -> torch.Tensor:
        """[d, d] float64, the sum of x x^T; a copy."""
        return self._accumulator.moment

    @property
    def count(self) -> int:
        """Rows so far."""
        return self._accumulator.count

    def __repr__(self) -> str:
        return f"VendiAccumulator(dimension={self._accumulator.dimension}, count={self.count})"
