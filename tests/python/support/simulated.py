"""Simulated runs whose truth is known: how often an interval holds it, how wide it is, and what it is off by.

Each cell is a function of named settings and returns a dict of plain numbers; `benchmarks/python/record_coverage.py`
writes them down, `test_metrics_coverage.py` holds the limits.
"""

from __future__ import annotations

import numpy as np
import torch

from vlmprobe import metrics
from vlmprobe.metrics.judged import INVALID, RIGHT, UNSCORED, WRONG

RUNS = 2000
QVR, FDR = 0.8, 0.35
SENSITIVE, SPECIFIC = (0.95, 0.92), (0.85, 0.85)  # of validity, of a wrong answer
LABELS = 200


def chances(generator, mean, images, correlation):
    """[images] rates, beta distributed so that rows of one image have this correlation."""
    if not correlation:
        return np.full(images, mean)
    size = 1 / correlation - 1
    return generator.beta(mean * size, (1 - mean) * size, images)


def sizes(generator, per, images):
    """[images] rows of each: `per`, or for None 1 to 12."""
    return np.full(images, per) if per else generator.integers(1, 13, images)


def rate_cell(*, rate, correlation, images=50, per=8, runs=RUNS, seed=7):
    """`metrics.rate` on clustered rows; `per` None: images differ in their number of questions."""
    generator, covered, naive, width = np.random.default_rng(seed), 0, 0, 0.0
    for _ in range(runs):
        count = sizes(generator, per, images)
        image = np.repeat(np.arange(images), count)
        wrong = generator.random(len(image)) < chances(generator, rate, images, correlation)[image]
        found = metrics.rate(torch.from_numpy(wrong), cluster=torch.from_numpy(image))
        alone = metrics.rate(torch.from_numpy(wrong), cluster=torch.arange(len(image)))
        covered += found.low <= rate <= found.high
        naive += alone.low <= rate <= alone.high
        width += found.high - found.low
    settings = {"rate": rate, "correlation": correlation, "images": images, "per_image": per or "1 to 12"}
    measured = {"coverage": covered / runs, "mean_width": width / runs, "coverage_without_clusters": naive / runs}
    return {"what": "rate", **settings, "runs": runs, **measured}


def drawn(generator, *, images=60, per=10, correlation=0.2):
    """States in truth and as judged, and images."""
    valid = generator.random((images, per)) < chances(generator, QVR, images, correlation)[:, None]
    wrong = generator.random((images, per)) < chances(generator, FDR, images, correlation)[:, None]
    truth = np.where(valid, np.where(wrong, WRONG, RIGHT), INVALID).ravel()
    return truth, judge(generator, truth), np.repeat(np.arange(images), per).tolist()


def judge(generator, truth):
    """A judge that errs; an invalid question that it takes for valid it calls wrong half of the time."""
    chance = generator.random((3, len(truth)))
    valid = np.where(truth != INVALID, chance[0] < SENSITIVE[0], chance[0] >= SPECIFIC[0])
    looks_wrong = np.where(truth == INVALID, chance[2] < 0.5, truth == WRONG)
    wrong = np.where(looks_wrong, chance[1] < SENSITIVE[1], chance[1] >= SPECIFIC[1])
    return np.where(valid, np.where(wrong, WRONG, RIGHT), INVALID)


def by_labels(generator, truth, judged, image, run):
    """Post-stratified: labels of this run, drawn by judged state."""
    labels = [None] * len(truth)
    for state in (INVALID, RIGHT, WRONG):
        rows = np.flatnonzero(judged == state)
        for i in generator.choice(rows, round(LABELS * len(rows) / len(judged)), replace=False):
            labels[i] = int(truth[i])
    return metrics.corrected_by_labels(judged.tolist(), labels, cluster=image, draws=500, seed=run)


def by_calibration(generator, truth, judged, image, run):
    """Inverted: labels from elsewhere, with other prevalences and the same judge."""
    elsewhere = generator.choice(3, LABELS, p=[0.3, 0.4, 0.3])
    pairs = list(zip(elsewhere.tolist(), judge(generator, elsewhere).tolist(), strict=True))
    return metrics.corrected_by_calibration(judged.tolist(), pairs, cluster=image, draws=500, seed=run)


WAYS = {"labels": by_labels, "calibration": by_calibration}


def judge_cell(*, way, correlation, images=60, per=10, runs=RUNS, seed=5):
    """Rates corrected for the judge; beside them FDR's interval from the verdicts as they are."""
    generator, true = np.random.default_rng(seed), np.array([QVR, FDR])
    covered, width, bias, raw_covered, raw_width = np.zeros(2), np.zeros(2), np.zeros(2), 0, 0.0
    for run in range(runs):
        truth, judged, image = drawn(generator, images=images, per=per, correlation=correlation)
        found = WAYS[way](generator, truth, judged, image, run)
        ends = np.array([[each.low, each.high] for each in (found.qvr, found.fdr)])
        covered += (ends[:, 0] <= true) & (true <= ends[:, 1])
        width += ends[:, 1] - ends[:, 0]
        bias += np.array([found.qvr.value, found.fdr.value]) - true
        valid = judged != INVALID
        places = torch.from_numpy(np.asarray(image)[valid])
        raw = metrics.rate(torch.from_numpy((judged == WRONG)[valid]), cluster=places)
        raw_covered += raw.low <= FDR <= raw.high
        raw_width += raw.high - raw.low
    settings = {"way": way, "labels": LABELS, "correlation": correlation, "images": images, "per_image": per}
    return {
        "what": "judge noise", **settings, "runs": runs, **_both("coverage", covered / runs),
        **_both("mean_width", width / runs), **_both("bias", bias / runs),
        "uncorrected_coverage_fdr": raw_covered / runs, "uncorrected_mean_width_fdr": raw_width / runs,
    }  # fmt: skip


def sample_cell(*, correlation=0.2, images=80, per=10, runs=RUNS, seed=11):
    """The design-based estimator under a verifier that the questioner exploits.

    On half of the images most of what is right is called wrong, and what is invalid valid and wrong. Verdicts that look
    like a finding are labelled with probability 0.5, unscored ones 0.8, others 0.15.
    """
    generator, true = np.random.default_rng(seed), np.array([QVR, FDR])
    covered, width, bias, raw = np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2)
    for _ in range(runs):
        truth, judged, image = drawn(generator, images=images, per=per, correlation=correlation)
        fooled = np.array(image) < images // 2
        judged[fooled & (truth == RIGHT) & (generator.random(len(truth)) < 0.8)] = WRONG
        judged[fooled & (truth == INVALID)] = WRONG
        judged[generator.random(len(truth)) < 0.03] = UNSCORED
        chance = np.select([judged == WRONG, judged == UNSCORED], [0.5, 0.8], 0.15)
        chosen = generator.random(len(truth)) < chance
        labels = [int(t) if c else None for t, c in zip(truth, chosen, strict=True)]
        found = metrics.from_sample(judged.tolist(), labels, chance.tolist(), cluster=image)
        ends = np.array([[each.low, each.high] for each in (found.qvr, found.fdr)])
        covered += (ends[:, 0] <= true) & (true <= ends[:, 1])
        width += ends[:, 1] - ends[:, 0]
        bias += np.array([found.qvr.value, found.fdr.value]) - true
        valid, scored = (judged == RIGHT) | (judged == WRONG), judged != UNSCORED
        raw += np.array([valid.sum() / scored.sum(), (judged == WRONG).sum() / valid.sum()]) - true
    settings = {"correlation": correlation, "images": images, "per_image": per}
    return {
        "what": "known probabilities", **settings, "runs": runs, **_both("bias", bias / runs),
        **_both("coverage", covered / runs), **_both("mean_width", width / runs),
        **_both("uncorrected_bias", raw / runs),
    }  # fmt: skip


def _both(name, values):
    return {f"{name}_qvr": float(values[0]), f"{name}_fdr": float(values[1])}


def difference_cell(*, gap=0.1, images=50, per=6, runs=RUNS, seed=3):
    """`metrics.paired_difference`: two methods on images that are as hard for both, the second lower by `gap`.

    Rates are 0.1 to 0.7 and both methods' images have the same, so an interval that is not paired is too wide.
    """
    generator, covered, width, wide, significant = np.random.default_rng(seed), 0, 0.0, 0.0, 0
    image = np.repeat(np.arange(images), per).tolist()
    for run in range(runs):
        chance = generator.uniform(0.2, 0.7, images)
        pair = [(generator.random((images, per)) < p[:, None]).ravel().tolist() for p in (chance, chance - gap)]
        found = metrics.paired_difference(*pair, cluster_a=image, cluster_b=image, draws=400, seed=run)
        rates = [metrics.rate(each, cluster=image) for each in pair]
        covered += found.low <= gap <= found.high
        width += found.high - found.low
        wide += np.hypot(*(each.high - each.low for each in rates))
        significant += found.p < 0.05
    settings = {"difference": gap, "images": images, "per_image": per, "runs": runs}
    measured = {"coverage": covered / runs, "mean_width": width / runs, "mean_width_unpaired": float(wide) / runs}
    return {"what": "paired difference", **settings, **measured, "share_p_below_0.05": significant / runs}
