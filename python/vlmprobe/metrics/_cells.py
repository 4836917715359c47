"""Failure rates of cells of questions (with a skill and without it, by model, ...) and how far they vary together.

Rows of one image may be in several cells, so the cells' rates are not independent; their covariance comes from images.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from vlmprobe._native import core
from vlmprobe.metrics._labels import codes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cells:
    """K cells of scored rows about m images.

    rate p_k = s_k / n_k;  covariance_kl = m/(m - 1) sum_c r_ck r_cl / (n_k n_l),  r_ck = s_ck - p_k n_ck over images c.
    """

    asked: Floats
    """[m, K] n_ck, rows of the cell about an image."""
    failed: Floats
    """[m, K] s_ck."""

    @property
    def n(self) -> Floats:
        """[K] rows."""
        return self.asked.sum(0)

    @property
    def failures(self) -> Floats:
        """[K]"""
        return self.failed.sum(0)

    @property
    def residuals(self) -> Floats:
        """[m, K] r_ck."""
        return self.failed - self.failures / np.maximum(self.n, 1) * self.asked

    @property
    def images(self) -> Ints:
        """[K] images with a row of the cell."""
        return (self.asked > 0).sum(0)

    @property
    def rates(self) -> Floats:
        """[K] p_k; NaN for an empty cell."""
        return np.divide(self.failures, self.n, out=np.full(len(self.n), np.nan), where=self.n > 0)

    def covariance(self, null: Floats) -> Floats:
        """[K, K] of the rates, each variance at least q (1 - q) / n: that of rows alone in their image at rate q.

        Args:
            null: [K] q, the rates under the hypothesis of a test. With it a cell that failed always, or never, is not
                taken for one whose rate is known exactly.
        """
        m = len(self.residuals)
        scaled = self.residuals / self.n
        found: Floats = scaled.T @ scaled * m / max(m - 1, 1)
        least = null * (1 - null) / self.n
        return found + np.diag(np.maximum(least - np.diag(found), 0))

    @property
    def df(self) -> int:
        """Degrees of freedom: images of the cell that has the fewest, less one."""
        return int(self.images.min()) - 1

    def least_p(self, labels: int = 2) -> float:
        """That a two-sided test can give in which chance says which label is which on each image: one of all ways to
        say so, for each way to name the labels themselves."""
        ways = math.factorial(labels)
        return float(ways) ** (1 - len(self.asked)) if len(self.asked) else 1.0

    def exact_p(self) -> float:
        """One-sided, that the second of two cells has no higher rate than the first: by the exact test, or the least
        that it can give; see include/vlmprobe/metrics/bootstrap.h."""
        (failed, failed_more), (asked, asked_more) = self.failed.T.tolist(), self.asked.T.tolist()
        return core.metrics.exact_p_higher(failed_more, asked_more, failed, asked)


def cells(wrong: Ints, cell: Ints, image: Ints, count: int) -> Cells:
    """The cells of the rows.

    Args:
        wrong: [N] 0 or 1, scored rows only.
        cell: [N] from 0 to count - 1.
        image: [N] int.
        count: K.
    """
    places, within = np.unique(image, return_inverse=True)
    flat = within * count + cell
    shape = len(places), count
    asked = np.bincount(flat, minlength=shape[0] * count).reshape(shape).astype(float)
    failed = np.bincount(flat, weights=wrong, minlength=shape[0] * count).reshape(shape).astype(float)
    return Cells(asked, failed)


def scored(
    op: str, rows: int, wrong: Sequence[bool | None], cluster: Sequence[Hashable], **others: Sequence[object]
) -> tuple[Ints, Ints, Ints]:
    """The scored rows: their places, wrong or not, and their images, as numbers.

    Raises:
        ValueError: a column of another length, or a verdict other than True, False and None.
    """
    for name, column in (("wrong", wrong), ("cluster", cluster), *others.items()):
        if len(column) != rows:
            raise ValueError(f"[metrics::{op}] {name}: expected {rows} rows, got {len(column)}")
    unknown = next((value for value in wrong if value not in (True, False, None)), None)
    if unknown is not None:
        raise ValueError(f"[metrics::{op}] wrong: expected True, False or None (unscored), got {unknown!r:.60}")
    kept = np.array([i for i, value in enumerate(wrong) if value is not None], dtype=np.int64)
    values = np.array([int(value) for value in wrong if value is not None], dtype=np.int64)
    return kept, values, np.array(codes(cluster), dtype=np.int64)[kept]


def corrected(p: Sequence[float], stats: ModuleType) -> list[float]:
    """q-values of p-values: Benjamini and Hochberg 1995, by SciPy."""
    return [float(q) for q in stats.false_discovery_control(list(p))] if len(p) else []
