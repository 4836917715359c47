"""Rates over clustered rows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch

from vlmprobe import _core
from vlmprobe._util.html import percent, text
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
    df: float
    """Degrees of freedom of the interval's t quantile: how well that variance is known; at most clusters - 1."""
    clusters: int
    """Clusters with a scored row: images."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"

    def _repr_html_(self) -> str:
        ends = f"[{percent(self.low)}, {percent(self.high)}]"
        return text(f"{percent(self.value)} {ends}, n {self.n}" if self.n else "unknown, n 0")


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

    Source: Wilson 1927; Korn and Graubard 1998; Kish 1965; Satterthwaite 1946.
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
        df=result.df,
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
