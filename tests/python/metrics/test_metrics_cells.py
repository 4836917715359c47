"""Tests over cells of questions: rates by skill, skills across models, pairs of skills. By hand, beside statsmodels,
and over simulated runs without an effect and with one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from vlmprobe import metrics
from vlmprobe.metrics import _cells, skills
from vlmprobe.metrics.universal import _differ

MODELS = ("3B", "7B", "8B")


def asked(generator, *, images=60, per=20, chance, names=6, each=2):
    """Sets of skills, verdicts and images; `chance(model, skills, hardness)` is the rate of failing."""
    sets, wrong, image, model = [], [], [], []
    for place in range(images):
        hardness = generator.normal(0, 0.1)
        for _ in range(per):
            chosen = frozenset(f"s{i}" for i in generator.choice(names, each, replace=False))
            for name in MODELS:
                rate = min(max(chance(name, chosen) + hardness, 0.01), 0.99)
                sets.append(chosen)
                wrong.append(bool(generator.random() < rate))
                image.append(place)
                model.append(name)
    return model, sets, wrong, image


def one_model(drawn):
    model, sets, wrong, image = drawn
    rows = [i for i, name in enumerate(model) if name == "3B"]
    return [[column[i] for i in rows] for column in (sets, wrong, image)]


def test_cells_by_hand():
    # Image 0: cell 0 has 1 of 2 wrong, cell 1 has 1 of 1. Image 1: cell 0 has 0 of 2, cell 1 has 0 of 1.
    found = _cells.cells(np.array([1, 0, 1, 0, 0, 0]), np.array([0, 0, 1, 0, 0, 1]), np.array([0, 0, 0, 1, 1, 1]), 2)
    assert found.rates.tolist() == [0.25, 0.5] and found.df == 1
    # Residuals: cell 0 1 - 2/4 = 0.5 and -0.5, cell 1 0.5 and -0.5. Times m/(m - 1) = 2:
    # var_0 = 2 x 0.5 / 16 = 1/16, var_1 = 2 x 0.5 / 4 = 1/4, cov = 2 x 0.5 / 8 = 1/8.
    assert found.covariance(np.array([0.0, 0.0])) == pytest.approx(np.array([[1 / 16, 1 / 8], [1 / 8, 1 / 4]]))
    # At a null rate of 1/2 single rows have 1/16 and 1/8: nothing below that, nothing is raised.
    assert found.covariance(np.array([0.5, 0.5])) == pytest.approx(np.array([[1 / 16, 1 / 8], [1 / 8, 1 / 4]]))


@pytest.mark.peers("statsmodels")
def test_a_skills_p_is_that_of_a_regression_with_clustered_errors():
    import statsmodels.api as sm

    drawn = asked(np.random.default_rng(0), chance=lambda model, each: 0.3 + 0.05 * ("s0" in each))
    sets, wrong, image = one_model(drawn)
    has = np.array(["s0" in each for each in sets], dtype=float)
    fit = sm.OLS(np.array(wrong, float), sm.add_constant(has)).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(image), "use_correction": False}
    )
    deviation = fit.bse[1] * math.sqrt(60 / 59)
    ours = next(each for each in skills.failure_rates(sets, wrong, cluster=image) if each.skill == "s0")
    assert deviation**2 > 0.9 * 0.3 * 0.7 * (1 / has.sum() + 1 / (1 - has).sum())  # the floor is not what is tested
    assert ours.p == pytest.approx(stats.t.sf(fit.params[1] / deviation, 59), rel=0.02)


def test_a_skill_that_failed_always_is_not_taken_for_known_exactly():
    # 21 of 21, where 90 % fail: by chance one time in nine.
    sets = [["rare"] if i < 21 else ["other"] for i in range(1021)]
    wrong = [True] * 21 + [i % 10 != 0 for i in range(1000)]
    rare = next(r for r in skills.failure_rates(sets, wrong, cluster=range(1021)) if r.skill == "rare")
    assert rare.rate.value == 1 and 0.05 < rare.p < 0.2


def test_q_values_are_those_of_benjamini_and_hochberg():
    sets, wrong, image = one_model(asked(np.random.default_rng(5), chance=lambda model, each: 0.3))
    rates = sorted(skills.failure_rates(sets, wrong, cluster=image), key=lambda each: each.p)
    by_hand, least = [], 1.0
    for rank in range(len(rates), 0, -1):
        least = min(least, rates[rank - 1].p * len(rates) / rank)
        by_hand.insert(0, least)
    assert [each.q for each in rates] == pytest.approx(by_hand)


def test_skills_named_on_one_half_are_rated_on_the_other():
    image = [f"picture {i // 4}" for i in range(400)]
    first, second = skills.halves(image)
    in_second = set(second)
    sets = [["both"] if i % 2 else (["second only"] if i in in_second else ["first only"]) for i in range(400)]
    rates = skills.rated_on_the_other_half(sets, [i % 3 == 0 for i in range(400)], cluster=image, above=20)
    assert [each.skill for each in rates] == ["both"]  # "second only" was not named, "first only" cannot be rated
    assert rates[0].rate.n == sum(i % 2 for i in second) and first


def test_numbers_of_skills_have_intervals():
    sets, image = [["a"], ["a", "b"], [], ["a", "b", "c"]], ["x", "x", "y", "z"]
    mean = skills.mean_coverage(sets, cluster=image)
    assert mean.value == 1.5 and mean.low < 1.5 < mean.high and (mean.n, mean.clusters) == (4, 3)
    assert [each.value for each in skills.rates_by_count(sets, cluster=image, most=2)] == [0.25, 0.5]


def hard_for(model, each):
    """s0 is hard for all, s1 for the 3B alone, and the 3B fails more everywhere."""
    return 0.2 + 0.1 * (model == "3B") + 0.35 * ("s0" in each) + 0.35 * ("s1" in each and model == "3B")


def test_universal_and_specific_skills_are_told_apart():
    generator, kinds = np.random.default_rng(1), []
    for _ in range(10):
        model, sets, wrong, image = asked(generator, chance=hard_for)
        found = {each.skill: each for each in metrics.across_models(model, sets, wrong, cluster=image)}
        kinds.append({name: each.kind for name, each in found.items()})
        assert found["s1"].hard_for == ("3B",) and found["s0"].hard_for == MODELS
        assert set(found["s0"].rates) == set(MODELS) and found["s0"].rates["3B"].n == len(
            [1 for each, name in zip(sets, model, strict=True) if "s0" in each and name == "3B"]
        )
    assert [each["s0"] for each in kinds] == ["universal"] * 10
    assert [each["s1"] for each in kinds] == ["specific"] * 10
    others = [each[name] for each in kinds for name in ("s2", "s3", "s4", "s5")]
    assert others.count("undecided") >= 37


def test_a_model_that_fails_more_everywhere_makes_no_skill_specific():
    generator, kinds = np.random.default_rng(2), []
    for _ in range(20):
        drawn = asked(generator, chance=lambda model, each: 0.2 + 0.3 * (model == "3B"))
        kinds += [each.kind for each in metrics.across_models(*drawn[:3], cluster=drawn[3])]
    assert len(kinds) == 120 and kinds.count("specific") <= 3 and kinds.count("universal") == 0


@pytest.mark.peers("statsmodels")
def test_the_test_of_equal_excess_is_that_of_a_regression_with_clustered_errors():
    import statsmodels.api as sm

    model, sets, wrong, image = asked(np.random.default_rng(3), chance=hard_for)
    has = np.array(["s2" in each for each in sets], dtype=float)
    which = np.array([MODELS.index(name) for name in model])
    columns = [(which == m) * part for m in range(3) for part in (1 - has, has)]
    fit = sm.OLS(np.array(wrong, float), np.column_stack(columns)).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(image), "use_correction": False}
    )
    contrast = np.array([[1, -1, -1, 1, 0, 0], [1, -1, 0, 0, -1, 1]], dtype=float)
    wald = float(fit.wald_test(contrast, use_f=False, scalar=True).statistic) * 59 / 60
    split = _cells.cells(np.array(wrong, dtype=int), 2 * which + has.astype(int), np.array(image), 6)
    assert _differ(split, stats) == pytest.approx(stats.f.sf(wald / 2 * 58 / 59, 2, 58), rel=0.1)


def test_equal_excess_by_hand_where_a_cell_never_failed():
    # A row an image. Without the skill 20 of 100 wrong in both models, with it 0 of 25 and 5 of 25: excess -0.2 and 0.
    # The common excess is -0.1, so with the skill 0.1 is expected: 0.09/25 at least for the cell that never failed.
    sizes, failed = (100, 25, 100, 25), (20, 0, 20, 5)
    cell = np.repeat(np.arange(4), sizes)
    wrong = np.concatenate([np.arange(n) < s for n, s in zip(sizes, failed, strict=True)]).astype(int)
    split = _cells.cells(wrong, cell, np.arange(250), 4)
    variance = 0.09 / 25 + 250 / 249 * (2 * 0.16 / 100 + 0.16 / 25)
    assert _differ(split, stats) == pytest.approx(stats.f.sf(0.2**2 / variance, 1, 24))


def test_an_interaction_by_hand():
    # One question an image. Neither: 2 of 10 wrong, A: 4 of 10, B: 3 of 10, both: 9 of 10.
    sets, wrong = [], []
    for each, failed in (([], 2), (["a"], 4), (["b"], 3), (["a", "b"], 9)):
        sets += [each] * 10
        wrong += [True] * failed + [False] * (10 - failed)
    found = metrics.interactions([*sets, ["a"]], [*wrong, None], cluster=range(41))
    [pair] = found.pairs
    assert pair.skills == ("a", "b") and pair.n == (10, 10, 10, 10) and pair.failures == (2, 4, 3, 9)
    assert (found.n, found.n_unscored, found.n_small) == (40, 1, 0)
    # log(9.5/1.5) - log(4.5/6.5) - log(3.5/7.5) + log(2.5/8.5)
    assert pair.value == pytest.approx(math.log(9.5 / 1.5 / (4.5 / 6.5) / (3.5 / 7.5) * (2.5 / 8.5)))
    floor = math.sqrt(sum(1 / (x + 0.5) for x in (2, 8, 4, 6, 3, 7, 9, 1)))
    assert pair.high - pair.low == pytest.approx(2 * stats.t.ppf(0.975, 9) * floor)
    assert pair.p == pytest.approx(2 * stats.t.sf(pair.value / floor, 9)) and pair.q == pair.p


@pytest.mark.peers("statsmodels")
def test_interactions_are_those_of_a_logistic_regression_with_clustered_errors():
    import statsmodels.api as sm

    generator = np.random.default_rng(4)
    sets, wrong, image = one_model(asked(generator, chance=lambda model, each: 0.3 + 0.2 * ({"s0", "s1"} <= each)))
    a, b = (np.array([name in each for each in sets], dtype=float) for name in ("s0", "s1"))
    fit = sm.GLM(
        np.array(wrong, float), np.column_stack([np.ones(len(a)), a, b, a * b]), family=sm.families.Binomial()
    ).fit(cov_type="cluster", cov_kwds={"groups": np.array(image), "use_correction": False}, tol=1e-12)
    found = metrics.interactions(sets, wrong, cluster=image, haldane=0.0)
    pair = next(each for each in found.pairs if each.skills == ("s0", "s1"))
    assert pair.value == pytest.approx(fit.params[3], rel=1e-6)
    deviation = (pair.high - pair.low) / 2 / stats.t.ppf(0.975, _images_with_both(sets, image) - 1)
    table = [(s, n - s) for s, n in zip(pair.failures, pair.n, strict=True)]
    floor = sum(1 / s + 1 / f for s, f in table)
    assert deviation**2 == pytest.approx(max(fit.bse[3] ** 2 * 60 / 59, floor), rel=1e-6)


def _images_with_both(sets, image):
    return len({place for each, place in zip(sets, image, strict=True) if {"s0", "s1"} <= each})


def test_planted_interactions_are_found_and_products_of_odds_are_none():
    generator, found, false = np.random.default_rng(6), 0, 0
    for _ in range(20):
        planted = asked(generator, per=40, chance=lambda m, each: 0.15 + 0.5 * ({"s0", "s1"} <= each))
        pairs = metrics.interactions(*one_model(planted)[:2], cluster=one_model(planted)[2]).pairs
        found += next(each for each in pairs if each.skills == ("s0", "s1")).q < 0.05
        plain = asked(generator, per=40, chance=lambda m, each: 1 / (1 + math.exp(2 - ("s0" in each) - ("s1" in each))))
        pairs = metrics.interactions(*one_model(plain)[:2], cluster=one_model(plain)[2]).pairs
        false += any(each.q < 0.05 for each in pairs)
    assert found == 20 and false <= 4  # 5 % of 20 and three deviations


def test_pairs_with_a_small_cell_are_counted_and_left_out():
    sets = [["a"]] * 9 + [["b"]] * 9 + [["a", "b"]] * 4 + [[]] * 9
    found = metrics.interactions(sets, [i % 2 == 0 for i in range(31)], cluster=range(31))
    assert found.pairs == () and found.n_small == 1
    assert len(metrics.interactions(sets, [i % 2 == 0 for i in range(31)], cluster=range(31), at_least=4).pairs) == 1
    never = metrics.interactions(sets, [False] * 31, cluster=range(31), at_least=4, haldane=0.0)
    assert never.n_small == 1  # without h there is no logit
    same_image = metrics.interactions(sets, [i % 2 == 0 for i in range(31)], cluster=[0] * 31, at_least=1)
    assert same_image.n_small == 1
    assert metrics.interactions([], [], cluster=[]).pairs == ()


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: metrics.across_models(["a"], [["s"]], [True], cluster=[1]), "model: expected at least 2 models"),
        (lambda: metrics.across_models(["a"], [["s"]] * 2, [1, 0], cluster=[1, 2]), "model: expected 2 rows, got 1"),
        (lambda: metrics.interactions([["s"]], [3], cluster=[1]), "wrong: expected True, False or None"),
        (lambda: metrics.interactions([], [], cluster=[], haldane=-1), "haldane: expected a finite number"),
        (lambda: metrics.interactions([], [], cluster=[], at_least=0), "at_least: expected at least 1, got 0"),
        (lambda: metrics.interactions([], [], cluster=[], confidence=2), r"confidence: expected a number in \(0, 1\)"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(call, text):
    with pytest.raises(ValueError, match=r"^\[metrics::\w+\] " + text):
        call()
