"""Exact tests and q-values, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vlmprobe.modes.exact import fisher, q_values
from vlmprobe.modes.unseen import poisson_upper


def test_fishers_tail_is_the_hypergeometric_one():
    rng = np.random.default_rng(0)
    for _ in range(300):
        all_n = int(rng.integers(1, 3000))
        all_failures, n = int(rng.integers(all_n + 1)), int(rng.integers(all_n + 1))
        failures = int(rng.integers(max(0, n + all_failures - all_n), min(n, all_failures) + 1))
        expected = stats.hypergeom.sf(failures - 1, all_n, all_failures, n)
        assert fisher(failures, n, all_failures, all_n) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_two_failures_of_two_where_two_of_four_fail():
    assert fisher(2, 2, 2, 4) == pytest.approx(1 / 6)  # one of the six ways to choose two of four


@pytest.mark.parametrize("counts", [(3, 2, 2, 4), (1, 2, 5, 4), (0, 4, 2, 5), (-1, 2, 2, 4), (1, 5, 2, 4)])
def test_counts_that_are_no_table_are_refused(counts):
    with pytest.raises(ValueError, match=r"\[fisher\] counts: expected a table of counts"):
        fisher(*counts)


def test_q_values_are_benjamini_and_hochbergs():
    rng = np.random.default_rng(1)
    for size in (0, 1, 2, 7, 100):
        p = rng.random(size) ** 3
        expected = stats.false_discovery_control(p) if size else []
        assert q_values(p.tolist()) == pytest.approx(list(expected))


def test_tests_that_are_not_listed_count_as_looked_at():
    p = [0.001, 0.02, 0.0005]
    whole = stats.false_discovery_control([*p, *[1.0] * 97])
    assert q_values(p, looked_at=100) == pytest.approx(list(whole[:3]))
    with pytest.raises(ValueError, match=r"looked_at: expected at least 3, got 2"):
        q_values(p, looked_at=2)


def test_poissons_upper_limit_is_that_of_chi_square():
    for count in (0, 1, 5, 30):
        for level in (0.05, 0.001):
            assert poisson_upper(count, level) == pytest.approx(stats.chi2.ppf(1 - level, 2 * count + 2) / 2, rel=1e-6)
