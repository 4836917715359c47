"""Numbers over skills: by hand, and q-values that find what was planted and little else."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from vlmprobe.metrics import skills

QUESTIONS = [["count", "color"], ["count"], ["color", "count", "color"], [], ["size"]]


def test_the_papers_numbers_by_hand():
    assert skills.counts(QUESTIONS) == {"count": 3, "color": 2, "size": 1}
    assert skills.known_skills(QUESTIONS, above=1) == {"count", "color"} and skills.known_skills(QUESTIONS) == set()
    assert skills.coverage(QUESTIONS) == 6 / 5
    assert skills.combinations(QUESTIONS) == 3  # {count, color}, {count}, {size}
    assert skills.shares_by_count(QUESTIONS) == [2 / 5, 2 / 5, 0, 0]
    assert skills.shares_by_count([[*"abcdef"], [*"ab"]], most=2) == [0, 1]
    assert math.isnan(skills.coverage([])) and skills.combinations([]) == 0


def test_shared_and_exclusive_skills():
    methods = {"RL": {"a", "b", "c"}, "SFT": {"a", "b"}, "zero-shot": {"a", "d"}}
    assert skills.exclusive(methods) == {"RL": {"c"}, "SFT": set(), "zero-shot": {"d"}}
    assert skills.shared(methods) == {"a"} and skills.shared({}) == set()


def drawn(generator, *, hard=()):
    """60 images of 20 questions with two of ten skills each; a hard skill fails at 0.5 instead of 0.2."""
    image = np.repeat(np.arange(60), 20).tolist()
    sets = [[f"s{i}" for i in generator.choice(10, 2, replace=False)] for _ in image]
    rate = [0.5 if set(hard) & set(each) else 0.2 for each in sets]
    return sets, (generator.random(len(image)) < rate).tolist(), image


def test_a_planted_skill_is_found_and_the_rest_is_not():
    generator, found, false = np.random.default_rng(2), 0, 0
    for _ in range(60):
        sets, wrong, image = drawn(generator, hard=["s3"])
        rates = skills.failure_rates(sets, wrong, cluster=image)
        found += next(each for each in rates if each.skill == "s3").q < 0.05
        false += any(each.q < 0.05 for each in rates if each.skill != "s3")
    assert found == 60 and false <= 12


def test_without_a_planted_skill_a_tenth_of_the_runs_at_most_find_one():
    generator, false = np.random.default_rng(4), 0
    for _ in range(200):
        sets, wrong, image = drawn(generator)
        false += any(each.q < 0.05 for each in skills.failure_rates(sets, wrong, cluster=image))
    assert false <= 20  # 5 % of 200 and three deviations


def test_the_highest_rate_comes_first_and_rare_skills_are_left_out():
    sets = [["a"]] * 4 + [["b"]] * 4 + [["c"]]
    wrong = [True, True, True, None, False, False, True, False, True]
    rates = skills.failure_rates(sets, wrong, cluster=range(9), above=2)
    assert [(each.skill, each.rate.n, each.rate.n_unscored) for each in rates] == [("a", 3, 1), ("b", 4, 0)]
    assert rates[0].rate.value == 1 and rates[0].q >= rates[0].p
    with pytest.raises(ValueError, match=r"^\[metrics::failure_rates\] wrong: expected 9 rows, got 1$"):
        skills.failure_rates(sets, [True], cluster=range(9))


def test_halves_keep_an_image_together_and_are_about_equal():
    cluster = [f"image-{i % 500}" for i in range(2000)]
    first, second = skills.halves(cluster)
    assert {cluster[i] for i in first} & {cluster[i] for i in second} == set()
    assert sorted(first + second) == list(range(2000)) and 800 < len(first) < 1200
    more, _ = skills.halves([*cluster, "another"])
    assert set(first) <= set(more)


def test_examples_run():
    results = doctest.testmod(skills)
    assert results.attempted >= 4 and results.failed == 0


def test_the_number_of_skills_has_an_interval_that_sees_which_pictures_there_are():
    often = [["often"]] * 40  # four on each of ten pictures: whichever are drawn, more than 20
    rare = [["rare"]] * 22 + [[]] * 18  # only on some pictures: some draws have fewer
    pictures = [i // 4 for i in range(40)]
    sure = skills.number(often, cluster=pictures)
    assert (sure.value, sure.low, sure.n, sure.clusters) == (1, 0, 40, 10)
    # As if one skill hung on a single picture of ten: t with 9 degrees of freedom, q = 0.9^10 = 0.3487.
    assert sure.high == pytest.approx(1 + 2.2622 * (10 / 9 * 0.3487 * 0.6513) ** 0.5, rel=1e-3)
    both = skills.number([a + b for a, b in zip(often, rare, strict=True)], cluster=pictures)
    assert both.value == 2 and both.low < 2 <= both.high
    none = skills.number([[]], cluster=["a"])
    assert none.value == 0 and none.n == 1


def asked_about(rng, pictures, rates, per_picture):
    """Skills and pictures of random questions; each picture has half of the skills."""
    rows, images = [], []
    for picture in range(pictures):
        shown = rates * (rng.random(len(rates)) < 0.5) * 2
        for hit in rng.random((per_picture, len(rates))) < shown:
            rows.append([f"skill {i}" for i in np.flatnonzero(hit)])
            images.append(picture)
    return rows, images


@pytest.mark.parametrize("measure", ["number", "difference"])
def test_the_interval_of_a_number_of_skills_covers_that_of_other_pictures(measure):
    rng = np.random.default_rng(0)
    rates = 0.45 / np.arange(1, 31)

    def drawn():
        return asked_about(rng, 60, rates, 5), asked_about(rng, 60, rates[:20], 5)

    def numbers(methods):
        return [len(skills.known_skills(rows)) for rows, _ in methods]

    each = np.array([numbers(drawn()) for _ in range(400)]).mean(0)
    truth = each[0] if measure == "number" else each[0] - each[1]
    inside, runs = 0, 120
    for _ in range(runs):
        a, b = drawn()
        if measure == "number":
            found = skills.number(a[0], cluster=a[1], draws=300)
        else:
            found = skills.number_difference(a, b, draws=300)
        inside += found.low <= truth <= found.high
    assert 0.9 <= inside / runs <= 1  # 95 % less three standard errors of 120 runs


def test_skills_of_one_method_alone_are_compared_by_hand():
    pictures = ["x", "y"]
    a, b = ([["p", "q"], ["p"]], pictures), ([["q"], []], pictures)
    assert skills.number_difference(a, b, above=0).value == 1  # p and q, less q
    assert skills.number_difference(a, b, others=[], above=0).value == 1  # p, less none
    assert skills.number_difference(a, b, others=[([["p"]], ["z"])], above=0).value == 0  # another one has p, too
    c = ([["p"], ["p"], []], ["x", "y", "z"])
    found = skills.number_difference(c, b, above=1)
    assert (found.value, found.n, found.clusters) == (1, 5, 3)
    assert found.low < 1 < found.high  # whether p has more than one question depends on the pictures
