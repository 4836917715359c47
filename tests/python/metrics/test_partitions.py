"""How alike two partitions are: hand-worked numbers, what mathematics promises, and the edges."""

from __future__ import annotations

import math
import random

import pytest

from vlmprobe.metrics.partitions import adjusted_mutual_information, adjusted_rand, harmonic_purity


def test_hand_worked():
    # pairs together: a {01}, {23}; b {01}, {2}, {3}: index 1, expected (2)(1)/6 = 1/3, most (2 + 1)/2
    assert adjusted_rand("aabb", "xxyz") == pytest.approx((1 - 1 / 3) / (1.5 - 1 / 3))
    # one cluster says nothing: I = 0 and its expectation is 0
    assert adjusted_mutual_information("aabb", "xxxx") == pytest.approx(0.0, abs=1e-12)
    # class a (3): best F1 2*2/(3 + 2) = .8 with x; class b (1): with y 2*1/(1 + 2) = 2/3
    assert harmonic_purity([["a"], ["a"], ["a"], ["b"]], [["x"], ["x"], ["y"], ["y"]]) == pytest.approx(
        (3 * 0.8 + 2 / 3) / 4
    )


def test_equal_partitions_are_1_and_chance_is_about_0():
    draw = random.Random(0)
    a, b = ([draw.randrange(6) for _ in range(3000)] for _ in range(2))
    for score in (adjusted_mutual_information, adjusted_rand):
        assert score(a, [f"name {each}" for each in a]) == pytest.approx(1.0)
        assert abs(score(a, b)) < 0.01 and score(a, b) == pytest.approx(score(b, a))


def test_things_may_be_in_several_classes_or_in_none():
    assert harmonic_purity([["a", "b"], []], [["x"], ["y"]]) == 1.0
    assert harmonic_purity([["a"]], [[]]) == 0.0


def test_nothing_is_not_a_number_and_unequal_lengths_are_refused():
    assert math.isnan(adjusted_rand([], [])) and math.isnan(harmonic_purity([], []))
    assert math.isnan(harmonic_purity([[]], [["x"]]))
    with pytest.raises(ValueError, match=r"\[metrics::adjusted_rand\] b: expected 1 rows, got 2"):
        adjusted_rand([1], [1, 2])
    with pytest.raises(ValueError, match="clusters: expected 1 rows, got 0"):
        harmonic_purity([["a"]], [])
