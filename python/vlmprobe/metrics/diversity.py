"""Measures of diversity. They grow with the number of questions: report n with them and compare at equal n.

Formulas and edge cases: ``include/vlmprobe/metrics/``.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import torch

from vlmprobe import _core
from vlmprobe._util.visible import bare
from vlmprobe.metrics._labels import codes

_native = _core.metrics
_AT_ONCE = 10_000  # texts whose prefixes are in memory


def entropy(labels: Sequence[Hashable]) -> float:
    """Entropy of the labels' frequencies, in nats; NaN for no label.

    Example:
        >>> round(entropy(["count", "colour"]), 4)
        0.6931
    """
    return _native.entropy(codes(labels))


def effective_number(labels: Sequence[Hashable]) -> float:
    """Exponential of the entropy: as many equally frequent kinds would be as diverse; NaN for no label.

    Example:
        >>> effective_number(["count", "count", "count"])
        1.0
    """
    return _native.effective_number(codes(labels))


def effective_number_counted(counts: Mapping[str, int]) -> float:
    """`effective_number` of labels that are counted already.

    Example:
        >>> effective_number_counted({"count": 3, "colour": 0})
        1.0
    """
    known = sorted((count for count in counts.values() if count > 0), reverse=True)
    if len(known) < 2:
        return 1.0 if known else math.nan
    n, total = sum(known), 0.0
    for count in known:  # in the order in which `entropy` adds
        total += count * math.log(count)
    return math.exp(math.log(n) - total / n)


def duplicates(texts: Sequence[str]) -> float:
    """Share of the texts that occurred earlier, compared character by character but for those that nobody sees; NaN for
    no text.

    Example:
        >>> duplicates(["Why?", "How?", "Why?", "Why?"])
        0.5
    """
    return _native.duplicates(codes([bare(text) for text in texts]))


def _prefix_codes(texts: Sequence[str], length: int) -> list[int]:
    from vlmprobe import text

    parts = (texts[i : i + _AT_ONCE] for i in range(0, len(texts), _AT_ONCE))
    return codes(prefix for part in parts for prefix in text.prefixes(part, length=length))


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
