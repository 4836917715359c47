"""Do the intervals hold what they say? 2000 simulated runs each; `pytest -s` prints every cell."""

from __future__ import annotations

import pytest

from support.simulated import difference_cell, judge_cell, rate_cell, sample_cell


def shown(cell):
    print(
        "; ".join(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in cell.items()
        )
    )
    return cell


@pytest.mark.parametrize("per", [8, None])
@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.95])
def test_clustered_intervals_cover_93_percent_at_50_images(rate, correlation, per):
    cell = shown(rate_cell(rate=rate, correlation=correlation, per=per))
    assert cell["coverage"] >= 0.93
    if correlation == 0.3:
        assert cell["coverage_without_clusters"] < 0.9  # the correlation that was asked for is there


@pytest.mark.parametrize("correlation", [0.0, 0.2])
@pytest.mark.parametrize("way", ["labels", "calibration"])
def test_corrected_intervals_cover_93_to_97_percent(way, correlation):
    cell = shown(judge_cell(way=way, correlation=correlation))
    assert min(cell["coverage_qvr"], cell["coverage_fdr"]) >= 0.93
    assert max(cell["coverage_qvr"], cell["coverage_fdr"]) <= 0.97
    assert cell["uncorrected_coverage_fdr"] < 0.6  # what the judge says alone is no interval for the truth


def test_a_sample_is_unbiased_under_a_verifier_that_the_questioner_exploits():
    cell = shown(sample_cell())
    assert abs(cell["bias_qvr"]) < 0.005 and abs(cell["bias_fdr"]) < 0.005
    assert abs(cell["uncorrected_bias_fdr"]) > 0.2  # it is exploited
    assert min(cell["coverage_qvr"], cell["coverage_fdr"]) >= 0.93


def test_paired_intervals_cover_and_are_narrower_than_unpaired_ones():
    cell = shown(difference_cell())
    assert 0.93 <= cell["coverage"] <= 0.97
    assert cell["mean_width"] < 0.9 * cell["mean_width_unpaired"]


def test_without_a_difference_one_p_in_twenty_is_below_0_05():
    cell = shown(difference_cell(gap=0.0))
    assert 0.03 <= cell["share_p_below_0.05"] <= 0.07
