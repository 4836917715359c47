"""QVR and FDR when the judge errs: what a sample of labels says about the truth behind its verdicts.

A question is in one of three states, in truth and as judged: invalid; valid and answered right; valid and answered
wrongly. QVR is the share of the last two, FDR that of the last among them.

    corrected_by_labels       labels of the same run: P(truth | judged), from the labels of each judged state
    corrected_by_calibration  labels from elsewhere: P(judged | truth), inverted. Training seeks the judge's errors, so
                              such a table need not hold for the run
    from_sample               labels with known probabilities of being drawn: unbiased whatever the judge does

Labels come from people, or in the embedded world from its oracle. Unscored questions are never taken for anything: the
first two are about the scored ones, the last one about all.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlmprobe._util.checks import check_count
from vlmprobe.metrics._labels import codes
from vlmprobe.metrics.estimate import TIE, Floats, widening, wilson
from vlmprobe.metrics.rates import t_quantile

INVALID, RIGHT, WRONG, UNSCORED = 0, 1, 2, -1
NAMES = ("invalid", "valid and right", "valid and wrong")
PRIOR = 0.5  # labels of each state that a draw of a table adds: Jeffreys

Ints = NDArray[np.int64]


def state(valid: bool | None, correct: bool | None) -> int:
    """`INVALID`, `RIGHT` or `WRONG`; `UNSCORED` where that is not known.

    >>> state(True, None), state(False, None), state(True, False)
    (-1, 0, 2)
    """
    if valid is None or (valid and correct is None):
        return UNSCORED
    return INVALID if not valid else RIGHT if correct else WRONG


@dataclass(frozen=True)
class Corrected:
    """A rate with the judge's errors taken out."""

    value: float
    """NaN for the FDR of no valid question."""
    low: float
    high: float
    n: int
    """Questions that the rate is about, labelled or not."""
    n_labels: int
    n_unscored: int
    """Questions without a verdict."""

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}, {self.n_labels} labelled"


@dataclass(frozen=True)
class Rates:
    """The paper's two rates."""

    qvr: Corrected
    fdr: Corrected


def corrected_by_labels(
    judged: Sequence[int],
    labels: Sequence[int | None],
    *,
    cluster: Sequence[Hashable],
    draws: int = 4000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Rates:
    """Post-stratification: share of truth t = sum_j q_j m_jt / m_j, q_j the share judged j, m_jt of m_j labels there t.

    The interval has the quantiles of draws: images resampled with their verdicts and labels, and to each count of
    labels a Gamma(1/2) added, the noise of a count of none. Without clusters that is close to a Dirichlet with
    Jeffreys' prior. A state that was never judged may have been in images that were not seen: Gamma(1/2) of them, with
    as many questions as an image has, are added to it. The draws are widened as in
    include/vlmprobe/metrics/bootstrap.h, for FDR by the images with a valid question; with one image, or without a
    value, the interval is [0, 1].

    Args:
        judged: [N] states.
        labels: [N] true states; None where there is no label. Those of a judged state are drawn from it at random.
        cluster: [N] images.
        draws, seed: of the interval.
        confidence: of the interval, in (0, 1).

    Raises:
        ValueError: unequal lengths, another state, a judged state without a label, a number out of range.
    """
    op = "corrected_by_labels"
    verdicts, truth, image = _columns(op, judged, labels, cluster, draws, confidence)
    table = np.array([[((verdicts == j) & (truth == t)).sum() for t in range(3)] for j in range(3)], dtype=float)
    for j, row in enumerate(table):
        if (verdicts == j).any() and row.sum() == 0:
            raise ValueError(f"[metrics::{op}] labels: expected some of what was judged {NAMES[j]}, got none")
    generator = np.random.default_rng(seed)
    pairs = np.where((verdicts == UNSCORED) | (truth == UNSCORED), UNSCORED, 3 * verdicts + truth)
    counts = _scored(np.hstack([_by_image(verdicts, image, 3), _by_image(pairs, image, 9)]))
    drawn = _resampled(counts, draws, generator)
    shares = _drawn_shares(drawn[:, :3], counts[:, :3], generator)
    tables = drawn[:, 3:].reshape(-1, 3, 3) + generator.gamma(PRIOR, size=(draws, 3, 3))  # [draws, judged, truth]
    tables /= tables.sum(2, keepdims=True)
    point = _shares(verdicts) @ (table / np.maximum(table.sum(1, keepdims=True), 1))
    drawn = np.einsum("dj,djt->dt", shares, tables)
    valid = counts[:, [RIGHT, WRONG]].sum(1) + counts[:, 3:].reshape(-1, 3, 3)[:, :, [RIGHT, WRONG]].sum((1, 2))
    return _rates(point, drawn, int(table.sum()), verdicts, (len(counts), _images(valid)), confidence)


def corrected_by_calibration(
    judged: Sequence[int],
    calibration: Sequence[tuple[int, int]],
    *,
    cluster: Sequence[Hashable],
    draws: int = 4000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Rates:
    """The table P(judged | truth) of a foreign calibration inverted: s with q = P^T s, cut to shares.

    The interval has the quantiles of draws: images resampled for q, with what may be in images that were not seen, and
    for each true state a Dirichlet of its verdicts (with half a verdict of each state added), widened, all as in
    `corrected_by_labels`. Where a draw has no shares as its
    solution, negative ones are set to 0.

    Args:
        judged: [N] states.
        calibration: (true state, judged state) of each labelled item.
        cluster: [N] images.
        draws, seed: of the interval.
        confidence: of the interval, in (0, 1).

    Raises:
        ValueError: as `corrected_by_labels`; a true state without an item; verdicts that do not depend on the truth.
    """
    op = "corrected_by_calibration"
    verdicts, _, image = _columns(op, judged, [None] * len(judged), cluster, draws, confidence)
    table = np.zeros((3, 3))
    for truth, verdict in calibration:
        if truth not in (0, 1, 2) or verdict not in (0, 1, 2):
            raise ValueError(f"[metrics::{op}] calibration: expected states 0 to 2, got {(truth, verdict)}")
        table[truth, verdict] += 1
    for t, row in enumerate(table):
        if row.sum() == 0:
            raise ValueError(f"[metrics::{op}] calibration: expected items that are {NAMES[t]}, got none")
    given = table / table.sum(1, keepdims=True)
    if np.linalg.cond(given) > 1e6:
        raise ValueError(
            f"[metrics::{op}] calibration: expected verdicts that depend on the truth, got {table.tolist()}"
        )
    generator = np.random.default_rng(seed)
    counts = _scored(_by_image(verdicts, image, 3))
    shares = _drawn_shares(_resampled(counts, draws, generator), counts, generator)
    tables = np.stack([generator.dirichlet(row + PRIOR, size=draws) for row in table], axis=1)  # [draws, truth, judged]
    point = _cut(np.linalg.solve(given.T, _shares(verdicts)))
    drawn = _cut(np.linalg.solve(tables.transpose(0, 2, 1), shares[:, :, None])[:, :, 0])
    images = len(counts), _images(counts[:, [RIGHT, WRONG]].sum(1))
    return _rates(point, drawn, len(calibration), verdicts, images, confidence)


def from_sample(
    judged: Sequence[int],
    labels: Sequence[int | None],
    probability: Sequence[float],
    *,
    cluster: Sequence[Hashable],
    confidence: float = 0.95,
) -> Rates:
    """Horvitz-Thompson: total of truth = sum of the judge + sum over the labelled of (truth - judge) / probability.

    FDR is the ratio of two such totals; intervals by linearisation, clustered by image, with t of m - 1 degrees of
    freedom, m the images that have a part in the rate. Where these do not differ, Wilson's interval at m images; with
    one image, or without a value, [0, 1]. Unscored questions stay in the frame: the judge's part in them is 0, and
    their labels correct it.

    Args:
        judged: [N] states, `UNSCORED` among them.
        labels: [N] true states; None where a question was not drawn.
        probability: [N] of being drawn, in (0, 1]; may depend on everything but the label.
        cluster: [N] images.
        confidence: of the intervals, in (0, 1).

    Raises:
        ValueError: unequal lengths, another state, a probability outside (0, 1].
    """
    op = "from_sample"
    verdicts, truth, image = _columns(op, judged, labels, cluster, 1, confidence, scored_only=False)
    chance = np.asarray(probability, dtype=float)
    if len(chance) != len(verdicts):
        raise ValueError(f"[metrics::{op}] probability: expected {len(verdicts)}, got {len(chance)}")
    if not ((chance > 0) & (chance <= 1)).all():
        raise ValueError(f"[metrics::{op}] probability: expected numbers in (0, 1], got {chance.min()}, {chance.max()}")

    def corrected(of: tuple[int, ...]) -> Floats:
        by_judge, by_label = np.isin(verdicts, of).astype(float), np.isin(truth, of).astype(float)
        return by_judge + np.where(truth == UNSCORED, 0.0, (by_label - by_judge) / chance)

    valid, wrong, count = corrected((RIGHT, WRONG)), corrected((WRONG,)), np.ones(len(verdicts))
    n_labels, n_unscored = int((truth != UNSCORED).sum()), int((verdicts == UNSCORED).sum())

    def rate(upper: Floats, lower: Floats) -> Corrected:
        total = lower.sum()
        value = upper.sum() / total if total > 0 else np.nan
        m, low, high = _images(np.bincount(image, weights=np.abs(upper) + np.abs(lower))), 0.0, 1.0
        if m > 1 and total > 0:
            sums = np.bincount(image, weights=upper - value * lower)
            spread, t = np.sqrt(m / (m - 1) * (sums**2).sum()) / total, t_quantile((1 + confidence) / 2, df=m - 1)
            low, high = (value - t * spread, value + t * spread) if spread > TIE else wilson(value, m, t)
        return Corrected(float(value), max(0.0, low), min(1.0, high), len(verdicts), n_labels, n_unscored)

    return Rates(rate(valid, count), rate(wrong, valid))


def _columns(
    op: str, judged: Sequence[int], labels: Sequence[int | None], cluster: Sequence[Hashable], draws: int,
    confidence: float, *, scored_only: bool = True,
) -> tuple[Ints, Ints, Ints]:  # fmt: skip
    """Verdicts, labels (`UNSCORED` without one) and images as numbers."""
    check_count(f"metrics::{op}", "draws", draws)
    if not 0 < confidence < 1:
        raise ValueError(f"[metrics::{op}] confidence: expected a number in (0, 1), got {confidence}")
    for name, column in (("labels", labels), ("cluster", cluster)):
        if len(column) != len(judged):
            raise ValueError(f"[metrics::{op}] {name}: expected {len(judged)} rows, got {len(column)}")
    verdicts = np.asarray(judged, dtype=np.int64)
    truth = np.asarray([UNSCORED if label is None else label for label in labels], dtype=np.int64)
    for name, states in (("judged", verdicts), ("labels", truth)):
        if not np.isin(states, (INVALID, RIGHT, WRONG, UNSCORED)).all():
            raise ValueError(
                f"[metrics::{op}] {name}: expected states 0 to 2 or -1, got {states.min()}, {states.max()}"
            )
    image = np.asarray(codes(cluster), dtype=np.int64)
    if not scored_only:
        return verdicts, truth, image
    if not (verdicts != UNSCORED).any():
        raise ValueError(f"[metrics::{op}] judged: expected a scored question, got none")
    return verdicts, truth, image


def _shares(verdicts: Ints) -> Floats:
    counts = np.bincount(verdicts[verdicts != UNSCORED], minlength=3)
    return counts / counts.sum()


def _by_image(states: Ints, image: Ints, count: int) -> Floats:
    """[images, count] how often each state from 0 is there, by image."""
    counts = np.zeros((image.max() + 1, count))
    np.add.at(counts, (image[states != UNSCORED], states[states != UNSCORED]), 1)
    return counts


def _resampled(counts: Floats, draws: int, generator: np.random.Generator) -> Floats:
    """[draws, columns] sums over as many images as there are, drawn with replacement."""
    m = len(counts)
    return np.asarray(generator.multinomial(m, np.full(m, 1 / m), size=draws) @ counts)


def _scored(counts: Floats) -> Floats:
    """Of images with a verdict."""
    kept: Floats = counts[counts[:, :3].sum(1) > 0]
    return kept


def _images(rows: NDArray[Any]) -> int:
    """How many images have some."""
    return int((rows > 0).sum())


def _drawn_shares(drawn: Floats, counts: Floats, generator: np.random.Generator) -> Floats:
    """[draws, 3] shares of the judged states in the draws; with some of the states that are in no image."""
    unseen = counts.sum(0) == 0
    drawn[:, unseen] = counts.sum(1).mean() * generator.gamma(PRIOR, size=(len(drawn), unseen.sum()))
    found: Floats = drawn / drawn.sum(1, keepdims=True)
    return found


def _cut(shares: NDArray[Any]) -> Floats:
    kept = np.maximum(shares, 0)
    return kept / kept.sum(-1, keepdims=True)


def _rates(
    point: Floats, drawn: Floats, n_labels: int, verdicts: Ints, images: tuple[int, int], confidence: float
) -> Rates:
    """The draws' quantiles, widened about their median by the images of each rate; with one nothing is known of others,
    and without a value neither."""
    n, n_unscored = int((verdicts != UNSCORED).sum()), int((verdicts == UNSCORED).sum())
    places = 0.5, (1 - confidence) / 2, (1 + confidence) / 2

    def rate(of: Floats, values: Floats, m: int) -> Corrected:
        low, high = 0.0, 1.0
        if m > 1 and np.isfinite(of) and np.isfinite(values).any():
            middle, *ends = np.nanquantile(values, places)
            low, high = np.clip(middle + widening(m, confidence) * (np.array(ends) - middle), 0, 1)
            low, high = min(low, of), max(high, of)
        return Corrected(float(of), float(low), float(high), n, n_labels, n_unscored)

    def fdr(shares: Floats) -> Floats:
        valid = shares[..., RIGHT] + shares[..., WRONG]
        return np.divide(shares[..., WRONG], valid, out=np.full_like(valid, np.nan), where=valid > 0)

    of_all, of_valid = images
    return Rates(rate(1 - point[INVALID], 1 - drawn[:, INVALID], of_all), rate(fdr(point), fdr(drawn), of_valid))
