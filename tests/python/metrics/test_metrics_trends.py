"""What changes over a run: cumulative rates, early and late skills against a permutation null."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from vlmprobe import metrics


def test_cumulative_rates_are_the_rates_of_what_came_before():
    wrong, image = [True, None, False, False, True, True], list("aabbcc")
    points = metrics.cumulative_rates(wrong, cluster=image, points=3)
    assert [point.asked for point in points] == [2, 4, 6]
    assert points == [type(points[0])(n, metrics.rate(wrong[:n], cluster=image[:n])) for n in (2, 4, 6)]
    assert [(point.rate.n, point.rate.n_unscored) for point in points] == [(1, 1), (3, 1), (5, 1)]
    assert [p.asked for p in metrics.cumulative_rates(wrong, cluster=image, points=50)] == [1, 2, 3, 4, 5, 6]
    assert metrics.cumulative_rates([], cluster=[]) == []


def test_a_questioner_that_does_not_change_has_no_rise_and_one_that_learns_has():
    generator, image = np.random.default_rng(0), (list(range(50)) * 20)
    flat, rising = generator.random(1000) < 0.3, generator.random(1000) < np.linspace(0.1, 0.5, 1000)
    found = metrics.rise(flat.tolist(), cluster=image)
    assert found.low < 0 < found.high and found.p > 0.05
    found = metrics.rise(rising.tolist(), cluster=image)
    assert 0.1 < found.value < 0.3 and found.low > 0 and found.p < 0.01


def asked(generator, *, steps=100, per=20, together=False):
    """early: 0.3 falling to 0.1; late: the other way round; steady 0.4; rare 0.01. Other words always."""
    sets, step = [], []
    for t in range(steps):
        x = t / (steps - 1)
        chance = {"early": 0.3 - 0.2 * x, "late": 0.1 + 0.2 * x, "steady": 0.4, "rare": 0.01}
        if together:  # a step asks about "whim" all the time or never, by chance
            chance["whim"] = float(generator.random() < 0.3)
        for _ in range(per):
            sets.append([name for name, rate in chance.items() if generator.random() < rate])
            step.append(t)
    return sets, step


def test_early_late_and_persistent_skills_are_told_apart():
    for seed in range(5):
        sets, step = asked(np.random.default_rng(seed))
        found = {each.skill: each for each in metrics.skill_trends(sets, step, above=0, draws=2000)}
        kinds = {name: each.kind for name, each in found.items()}
        assert kinds == {"early": "early", "late": "late", "steady": "persistent", "rare": "undecided"}
        assert found["late"].second > found["late"].first and found["late"].low > 1
        assert found["early"].n == sum("early" in each for each in sets)


def test_what_a_step_asks_stays_together_in_the_null():
    generator, false = np.random.default_rng(8), 0
    for seed in range(200):
        sets, step = asked(generator, steps=30, together=True)
        only = [[name for name in each if name == "whim"] for each in sets]
        false += any(each.p < 0.05 for each in metrics.skill_trends(only, step, draws=400, seed=seed))
    assert 2 <= false <= 20  # 10 expected; a null of single questions gives more than a half


def test_p_is_that_of_scipys_permutation_test():
    sets, step = asked(np.random.default_rng(3), steps=40, per=6)
    [ours] = metrics.skill_trends([["late"] if "late" in each else [] for each in sets], step, draws=20_000)
    has = np.array(["late" in each for each in sets], dtype=float).reshape(40, 6).sum(1)
    excess, place = has - has.sum() / 240 * 6, np.linspace(-1, 1, 40)
    peer = stats.permutation_test(
        (place,), lambda x, axis: (x * excess).sum(axis=axis), permutation_type="pairings", vectorized=True,
        n_resamples=20_000, rng=np.random.default_rng(1),
    )  # fmt: skip
    assert ours.p == pytest.approx(peer.pvalue, abs=4 * math.sqrt(peer.pvalue / 20_000) + 1e-3)


def test_ratios_of_halves_by_hand():
    # Steps 0 to 3 of 10 questions; the skill in 4 and 2 of the first two, 1 and 1 of the others.
    sets = [["s"] if i < n else [] for n in (4, 2, 1, 1) for i in range(10)]
    [found] = metrics.skill_trends(sets, [t for t in range(4) for _ in range(10)], above=0, draws=100)
    assert (found.first, found.second, found.n) == (0.3, 0.1, 8)
    assert found.ratio == pytest.approx((2.5 / 20.5) / (6.5 / 20.5))
    # Residuals 1 and -1: 2 x 2 / 6.5^2 = 0.0947, below that of single rows, (1 - 6.5/20.5)/6.5 = 0.10507; the second
    # half has none, so (1 - 2.5/20.5)/2.5 = 0.35122. t with 2 degrees of freedom.
    reach = stats.t.ppf(0.975, 2) * math.sqrt((1 - 6.5 / 20.5) / 6.5 + (1 - 2.5 / 20.5) / 2.5)
    assert math.log(found.high / found.ratio) == pytest.approx(reach)
    assert math.log(found.ratio / found.low) == pytest.approx(reach)


def test_ratios_of_what_a_step_does_as_a_whole_count_steps():
    sets = [["s"] if t % 2 else [] for t in range(4) for _ in range(10)]
    [found] = metrics.skill_trends(sets, [t for t in range(4) for _ in range(10)], above=0, draws=100)
    # Each half: residuals 5 and -5, 2 x 50 / 10.5^2 = 0.907 where single rows have 0.046.
    reach = stats.t.ppf(0.975, 2) * math.sqrt(2 * 2 * 50 / 10.5**2)
    assert found.ratio == 1 and math.log(found.high) == pytest.approx(reach)


def test_order_of_rows_and_labels_of_steps_do_not_matter():
    sets, step = asked(np.random.default_rng(2), steps=20)
    shuffled = np.random.default_rng(9).permutation(len(sets))
    again = metrics.skill_trends([sets[i] for i in shuffled], [7 * step[i] + 3 for i in shuffled], draws=500)
    assert again == metrics.skill_trends(sets, step, draws=500)


def test_two_steps_say_nothing_of_persistence():
    found = metrics.skill_trends([["s"]] * 100, [0] * 50 + [1] * 50, draws=100)
    assert [each.kind for each in found] == ["undecided"]


def test_densities_by_window():
    sets, step = [["a"], [], ["a", "b"], ["b"], ["b"]], [0, 0, 5, 9, 9]
    assert metrics.densities(sets, step, windows=3) == {"a": [0.5, 1, 0], "b": [0, 1, 1]}
    more = metrics.densities(sets, step, windows=4)["a"]
    assert [value for value in more if not math.isnan(value)] == [0.5, 1, 0] and len(more) == 4
    assert metrics.densities([], [], windows=2) == {}


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: metrics.skill_trends([["s"]], [0]), "step: expected at least 2 steps, got 1"),
        (lambda: metrics.skill_trends([["s"]], []), "step: expected 1 rows, got 0"),
        (lambda: metrics.skill_trends([["s"]], [0], draws=0), "draws: expected at least 1, got 0"),
        (lambda: metrics.densities([["s"]], [0], windows=0), "windows: expected at least 1, got 0"),
        (lambda: metrics.cumulative_rates([True], cluster="a", points=0), "points: expected at least 1, got 0"),
    ],
)
def test_wrong_input_is_named(call, text):
    with pytest.raises(ValueError, match=r"^\[metrics::\w+\] " + text):
        call()
