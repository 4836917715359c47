"""Rates corrected for the judge, agreement, differences: numbers by hand (coverage: test_metrics_coverage.py)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vlmprobe import metrics
from vlmprobe.metrics.judged import INVALID, RIGHT, UNSCORED, WRONG, state


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


def test_one_image_says_nothing_about_others():
    states = [INVALID, RIGHT, WRONG, WRONG]
    found = metrics.corrected_by_labels(states, states, cluster="xxxx")
    assert (found.fdr.low, found.fdr.high, found.qvr.low, found.qvr.high) == (0, 1, 0, 1)
    assert found.fdr.value == pytest.approx(2 / 3)
    sampled = metrics.from_sample(states, states, [1.0] * 4, cluster="xxxx")
    assert (sampled.qvr.low, sampled.qvr.high) == (0, 1)


def test_a_paired_difference_counts_images_and_not_rows():
    a = [True, True, None, False, True, False]
    b = [True, False, False, None]
    found = metrics.paired_difference(a, b, cluster_a="xxyyzz", cluster_b="xyzz", draws=500)
    assert found.value == pytest.approx(3 / 5 - 1 / 3)
    assert (found.n, found.n_unscored, found.clusters) == ((5, 3), (1, 1), 3)
    again = metrics.paired_difference(a, b, cluster_a="xxyyzz", cluster_b="xyzz", draws=500)
    assert found == again and str(found).startswith("+0.267 [")


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
