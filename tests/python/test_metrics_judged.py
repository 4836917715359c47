"""Rates corrected for the judge: numbers by hand, and coverage and bias over 2000 simulated runs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vlmprobe import metrics
from vlmprobe.metrics.judged import INVALID, RIGHT, UNSCORED, WRONG, state

RUNS = 2000
QVR, FDR = 0.8, 0.35
SENSITIVE, SPECIFIC = (0.95, 0.92), (0.85, 0.85)  # of validity, of a wrong answer


def test_a_state_is_unknown_unless_it_is_settled():
    states = {
        (None, None): UNSCORED, (True, None): UNSCORED, (False, None): INVALID, (False, True): INVALID,
        (True, True): RIGHT, (True, False): WRONG,
    }  # fmt: skip
    assert {key: state(*key) for key in states} == states


def test_post_stratification_by_hand():
    # 4 judged invalid (labels: 1 of 2 is valid and wrong), 6 judged wrong (labels: 2 wrong, 1 right).
    judged = [INVALID] * 4 + [WRONG] * 6 + [UNSCORED] * 2
    labels = [INVALID, WRONG, None, None, WRONG, WRONG, RIGHT, None, None, None, WRONG, None]
    found = metrics.corrected_by_labels(judged, labels, cluster=range(12))
    # wrong 0.4 / 2 + 0.6 x 2/3 = 0.6, right 0.6 / 3 = 0.2, invalid 0.2
    assert found.qvr.value == pytest.approx(0.8) and found.fdr.value == pytest.approx(0.75)
    assert (found.qvr.n, found.qvr.n_labels, found.qvr.n_unscored) == (10, 5, 2)
    assert found.qvr.low < 0.8 < found.qvr.high and found.fdr.low < 0.75 < found.fdr.high


def test_an_inverted_calibration_by_hand():
    # Of 10 invalid ones 2 are judged wrong, of 10 wrong ones 1 is judged invalid; right ones are always seen.
    calibration = [(INVALID, INVALID)] * 8 + [(INVALID, WRONG)] * 2 + [(WRONG, WRONG)] * 9 + [(WRONG, INVALID)]
    calibration += [(RIGHT, RIGHT)] * 10
    truth = np.array([0.3, 0.2, 0.5])
    shares = truth @ np.array([[0.8, 0, 0.2], [0, 1, 0], [0.1, 0, 0.9]])  # 0.29, 0.2, 0.51
    judged = np.repeat([INVALID, RIGHT, WRONG], np.rint(100 * shares).astype(int)).tolist()
    found = metrics.corrected_by_calibration(judged, calibration, cluster=range(100))
    assert found.qvr.value == pytest.approx(0.7) and found.fdr.value == pytest.approx(5 / 7)


def test_a_sample_by_hand():
    # Judge: 2 valid of 4. Labels: item 0 (drawn with 1/2) is invalid: -1/(1/2); item 3 (unscored, 1/4) is wrong: +4.
    judged, labels = [WRONG, RIGHT, INVALID, UNSCORED], [INVALID, None, None, WRONG]
    found = metrics.from_sample(judged, labels, [0.5, 0.5, 0.5, 0.25], cluster=range(4))
    assert found.qvr.value == pytest.approx((2 - 2 + 4) / 4)
    assert found.fdr.value == pytest.approx((1 - 2 + 4) / (2 - 2 + 4))
    assert (found.qvr.n, found.qvr.n_labels, found.qvr.n_unscored) == (4, 2, 1)


def drawn(generator, *, images=60, per=10, correlation=0.2):
    """States in truth and as judged, and images; rates differ by image (beta distributed)."""

    def rate(mean):
        size = 1 / correlation - 1 if correlation else 1e9
        return generator.beta(mean * size, (1 - mean) * size, images)[:, None]

    valid = (generator.random((images, per)) < rate(QVR)).ravel()
    wrong = (generator.random((images, per)) < rate(FDR)).ravel()
    truth = np.where(valid, np.where(wrong, WRONG, RIGHT), INVALID)
    return truth, judge(generator, truth), np.repeat(np.arange(images), per).tolist()


def judge(generator, truth):
    chance = generator.random((3, len(truth)))
    valid = np.where(truth != INVALID, chance[0] < SENSITIVE[0], chance[0] >= SPECIFIC[0])
    looks_wrong = np.where(truth == INVALID, chance[2] < 0.5, truth == WRONG)
    wrong = np.where(looks_wrong, chance[1] < SENSITIVE[1], chance[1] >= SPECIFIC[1])
    return np.where(valid, np.where(wrong, WRONG, RIGHT), INVALID)


def by_labels(generator, truth, judged, image, run):
    labels = [None] * len(truth)
    for j in (INVALID, RIGHT, WRONG):
        rows = np.flatnonzero(judged == j)
        for i in generator.choice(rows, round(200 * len(rows) / len(judged)), replace=False):
            labels[i] = int(truth[i])
    return metrics.corrected_by_labels(judged.tolist(), labels, cluster=image, draws=500, seed=run)


def by_calibration(generator, truth, judged, image, run):
    elsewhere = generator.choice(3, 200, p=[0.3, 0.4, 0.3])  # other prevalences, the same judge
    pairs = list(zip(elsewhere.tolist(), judge(generator, elsewhere).tolist(), strict=True))
    return metrics.corrected_by_calibration(judged.tolist(), pairs, cluster=image, draws=500, seed=run)


@pytest.mark.parametrize("correlation", [0.0, 0.2])
@pytest.mark.parametrize("correct", [by_labels, by_calibration])
def test_corrected_intervals_cover_93_to_97_percent(correct, correlation):
    generator = np.random.default_rng(5)
    covered, width, uncorrected = np.zeros(2), np.zeros(2), 0
    for run in range(RUNS):
        truth, judged, image = drawn(generator, correlation=correlation)
        found = correct(generator, truth, judged, image, run)
        for i, (rate, true) in enumerate(((found.qvr, QVR), (found.fdr, FDR))):
            covered[i] += rate.low <= true <= rate.high
            width[i] += rate.high - rate.low
        valid = judged != INVALID
        raw = metrics.rate((judged == WRONG)[valid].tolist(), cluster=np.array(image)[valid].tolist())
        uncorrected += raw.low <= FDR <= raw.high
    covered, width = covered / RUNS, width / RUNS
    print(f"{correct.__name__} {correlation}: coverage {covered}, width {width}, uncorrected FDR {uncorrected / RUNS}")
    assert (covered >= 0.93).all() and (covered <= 0.97).all()
    assert uncorrected / RUNS < 0.6  # what the judge says alone is no interval for the truth


@pytest.mark.parametrize("correlation", [0.0, 0.3])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.95])
def test_clustered_intervals_cover_93_percent_at_50_images(rate, correlation):
    generator = np.random.default_rng(7)
    image, covered, width = np.repeat(np.arange(50), 8).tolist(), 0, 0.0
    size = 1 / correlation - 1 if correlation else 1e9
    for _ in range(RUNS):
        chance = generator.beta(rate * size, (1 - rate) * size, 50)[:, None]
        found = metrics.rate((generator.random((50, 8)) < chance).ravel().tolist(), cluster=image)
        covered += found.low <= rate <= found.high
        width += found.high - found.low
    print(f"rate {rate}, correlation {correlation}: coverage {covered / RUNS}, width {width / RUNS:.3f}")
    assert covered / RUNS >= 0.93


def test_a_sample_is_unbiased_under_a_verifier_that_the_questioner_exploits():
    """On half of the images what is right is called wrong, and what is invalid valid and wrong."""
    generator = np.random.default_rng(11)
    sums, covered = np.zeros(2), np.zeros(2)
    for _ in range(RUNS):
        truth, judged, image = drawn(generator, images=80)
        fooled = np.array(image) < 40
        judged[fooled & (truth == RIGHT) & (generator.random(len(truth)) < 0.8)] = WRONG
        judged[fooled & (truth == INVALID)] = WRONG
        judged[generator.random(len(truth)) < 0.03] = UNSCORED
        chance = np.select([judged == WRONG, judged == UNSCORED], [0.5, 0.8], 0.15)
        chosen = generator.random(len(truth)) < chance
        labels = [int(t) if c else None for t, c in zip(truth, chosen, strict=True)]
        found = metrics.from_sample(judged.tolist(), labels, chance.tolist(), cluster=image)
        sums += found.qvr.value - QVR, found.fdr.value - FDR
        covered += [r.low <= t <= r.high for r, t in ((found.qvr, QVR), (found.fdr, FDR))]
    print(f"bias {sums / RUNS}, coverage {covered / RUNS}")
    assert (np.abs(sums / RUNS) < 0.005).all() and (covered / RUNS > 0.92).all()


def test_agreement_by_hand():
    a, b = [1, 1, 0, 0, 1, None], [1, 0, 0, 0, None, 1]
    assert metrics.percent_agreement(a, b) == 0.75
    # by chance 2/4 x 1/4 + 2/4 x 3/4 = 1/2, so (3/4 - 1/2) / (1/2)
    assert metrics.cohen_kappa(a, b) == pytest.approx(0.5)
    assert math.isnan(metrics.cohen_kappa([1, 1], [1, 1])) and math.isnan(metrics.percent_agreement([], []))


def test_alpha_of_krippendorffs_own_example():
    """12 items by four observers with missing ratings; the source has 0.743."""
    rows = ["1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3", "* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *"]
    items = [[None if r == "*" else r for r in item] for item in zip(*(row.split() for row in rows), strict=True)]
    assert metrics.krippendorff_alpha(items) == pytest.approx(0.743, abs=5e-4)
    assert math.isnan(metrics.krippendorff_alpha([[1, None]])) and math.isnan(metrics.krippendorff_alpha([[1, 1]]))


def test_a_paired_difference_counts_images_and_not_rows():
    a = [True, True, None, False, True, False]
    b = [True, False, False, None]
    found = metrics.paired_difference(a, b, cluster_a="xxyyzz", cluster_b="xyzz", draws=500)
    assert found.value == pytest.approx(3 / 5 - 1 / 3)
    assert (found.n, found.n_unscored, found.clusters) == ((5, 3), (1, 1), 3)
    again = metrics.paired_difference(a, b, cluster_a="xxyyzz", cluster_b="xyzz", draws=500)
    assert found == again and str(found).startswith("+0.267 [")


def test_paired_intervals_cover_and_are_narrower_than_unpaired_ones():
    generator, image = np.random.default_rng(3), np.repeat(np.arange(50), 6).tolist()
    covered, width = 0, 0.0
    for run in range(1000):
        chance = generator.beta(1.2, 1.8, 50)  # mean 0.4; the second method 0.1 lower where that is possible
        lower = np.maximum(chance - 0.1, 0)
        pair = [(generator.random((50, 6)) < p[:, None]).ravel().tolist() for p in (chance, lower)]
        found = metrics.paired_difference(*pair, cluster_a=image, cluster_b=image, draws=400, seed=run)
        covered += found.low <= TRUE_DIFFERENCE <= found.high
        width += found.high - found.low
    print(f"coverage {covered / 1000}, width {width / 1000:.3f}")
    assert 0.925 <= covered / 1000 <= 0.975


def _true_difference() -> float:
    chance = np.random.default_rng(0).beta(1.2, 1.8, 4_000_000)
    return float((chance - np.maximum(chance - 0.1, 0)).mean())


TRUE_DIFFERENCE = _true_difference()


labelled, calibrated, sampled = metrics.corrected_by_labels, metrics.corrected_by_calibration, metrics.from_sample


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: labelled([0, 1], [0, None], cluster=[1, 2]), r"labels: expected some of what was judged valid and r"),
        (lambda: labelled([0], [0, 1], cluster=[1]), r"labels: expected 1 rows, got 2"),
        (lambda: labelled([3], [0], cluster=[1]), r"judged: expected states 0 to 2 or -1, got 3"),
        (lambda: labelled([-1], [0], cluster=[1]), r"judged: expected a scored question, got none"),
        (lambda: labelled([0], [0], cluster=[1], confidence=1.0), r"confidence: expected a number in \(0, 1\), got 1"),
        (lambda: calibrated([0], [(0, 0)], cluster=[1]), r"expected items that are valid and right, got none"),
        (lambda: calibrated([0], [(0, 1), (1, 1), (2, 1)], cluster=[1]), r"expected verdicts that depend on the truth"),
        (lambda: calibrated([0], [(0, 5)], cluster=[1]), r"calibration: expected states 0 to 2, got \(0, 5\)"),
        (lambda: sampled([0], [0], [0.0], cluster=[1]), r"probability: expected numbers in \(0, 1\], got 0"),
        (lambda: sampled([0], [0], [], cluster=[1]), r"probability: expected 1, got 0"),
        (lambda: metrics.cohen_kappa([1], []), r"b: expected 1 ratings, got 0"),
        (lambda: metrics.paired_difference([1], [2], cluster_a=[1], cluster_b=[1]), r"b: expected True, False or None"),
        (lambda: metrics.paired_difference([1], [], cluster_a=[1, 2], cluster_b=[]), r"cluster_a: expected 1 rows"),
    ],
)
def test_wrong_input_is_named(call, text):
    with pytest.raises(ValueError, match=r"^\[metrics::\w+\] .*" + text):
        call()
