"""Modes are found where they were planted, and none where there is nothing to find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.asked import questions, shuffled
from vlmprobe.modes.asked import Asked, described
from vlmprobe.modes.concepts import Concept
from vlmprobe.modes.find import FindOptions, _examples, find_modes, found_on
from vlmprobe.modes.halves import half_of, halves
from vlmprobe.modes.mode import assign, read_mode
from vlmprobe.modes.rules import Rule

FAULTS = (frozenset({"red", "circle"}), frozenset({"count", "star"}), frozenset({"blue", "=dog"}))


def concepts(fault):
    return [[Concept("answer", word[1:]) if word.startswith("=") else Concept("word", word)] for word in fault]


def holding(asked):
    return [mode for mode in find_modes(asked) if mode.state == "held"]


@pytest.mark.parametrize("seed", range(6))
def test_planted_rules_are_found_as_they_are_and_nothing_besides(seed):
    asked = questions(np.random.default_rng(seed), 1500, faults=FAULTS, base=0.01, rate=0.9)
    assert {mode.rule for mode in holding(asked)} == {Rule.of(*concepts(fault)) for fault in FAULTS}


def test_a_fault_on_one_concept_is_not_told_in_parts():
    asked = questions(np.random.default_rng(0), 1500, faults=[frozenset({"red"})], base=0.01)
    [mode] = holding(asked)
    assert mode.rule == Rule.of([Concept("word", "red")]) and mode.share.value > 0.9


def test_words_that_stand_for_one_another_are_one_part():
    both = [frozenset({"count", "red"}), frozenset({"sort", "red"})]
    [mode] = holding(questions(np.random.default_rng(3), 2000, faults=both, base=0.005))
    assert mode.rule == Rule.of([Concept("word", "count"), Concept("word", "sort")], [Concept("word", "red")])


@pytest.mark.parametrize("base", [0.02, 0.1, 0.4])
def test_in_noise_nothing_is_found(base):
    found = [len(holding(questions(np.random.default_rng(seed), 600, base=base))) for seed in range(20)]
    assert sum(found) == 0


def test_one_bad_picture_is_no_mode():
    asked = [
        replace(each, wrong=each.image == 5, answer="mouse" if each.image == 5 else each.answer)
        for each in questions(np.random.default_rng(0), 3000, pictures=40)
    ]
    assert sum(each.wrong for each in asked) > 50 and holding(described(asked)) == []


def test_with_the_verdicts_of_others_the_modes_are_gone():
    rng = np.random.default_rng(2)
    asked = questions(rng, 1500, faults=FAULTS, base=0.01)
    assert len(holding(asked)) == 3 and holding(shuffled(rng, asked)) == []


def test_what_is_found_on_one_half_does_not_depend_on_the_other():
    asked = questions(np.random.default_rng(1), 1500, faults=FAULTS, base=0.02)
    mixed = [replace(each, wrong=not each.wrong) if half_of(each.key) == 1 else each for each in asked]
    rules = [[found.rule for found in found_on(halves(some)[0], FindOptions())] for some in (asked, mixed)]
    assert rules[0] and rules[0] == rules[1]


def test_a_rule_is_rated_on_the_half_on_which_it_was_not_found():
    asked = questions(np.random.default_rng(1), 1500, faults=FAULTS, base=0.02)
    for mode in holding(asked):
        there = [each for each in halves(asked)[1 - mode.found_on] if mode.rule.takes(each.concepts)]
        assert (mode.rated.n, mode.rated.failures) == (len(there), sum(each.wrong for each in there))
        assert mode.rated.rate.low <= mode.rated.failures / mode.rated.n <= mode.rated.rate.high


def test_all_questions_about_a_picture_are_in_its_half():
    asked = questions(np.random.default_rng(0), 500)
    parts = halves(asked)
    assert {each.key for each in parts[0]}.isdisjoint(each.key for each in parts[1])
    assert 40 < len({each.key for each in parts[0]}) < 80
    assert [half_of(f"{i}", seed=1) for i in range(64)] != [half_of(f"{i}", seed=2) for i in range(64)]


def test_rules_of_questions_that_are_hardly_ever_valid_are_refuted():
    asked = questions(np.random.default_rng(0), 1500, faults=[frozenset({"red", "circle"})], base=0.01)
    bad = [replace(each, valid=False, wrong=False, image=0, text=f"{each.text} again") for each in asked]
    red = [each for each in bad if Rule.of(*concepts({"red", "circle"})).takes(each.concepts)]
    states = {mode.state for mode in find_modes([*asked, *red * 19])}
    assert [mode.state for mode in find_modes(asked)] == ["held"] and states == {"refuted"}


def test_new_questions_are_assigned_and_ids_are_those_of_the_rule():
    asked = questions(np.random.default_rng(0), 1500, faults=FAULTS, base=0.01)
    modes = holding(asked)
    others = questions(np.random.default_rng(9), 1500, faults=FAULTS)
    told = assign(modes, others)
    assert all(bool(ids) == each.wrong for ids, each in zip(told, others, strict=True))
    again = holding(questions(np.random.default_rng(5), 1500, faults=FAULTS, base=0.01))
    assert {mode.id for mode in modes} == {mode.id for mode in again}


def test_a_mode_comes_back_from_json():
    modes = find_modes(questions(np.random.default_rng(0), 1500, faults=FAULTS, base=0.01))
    assert [read_mode(mode.plain()) for mode in modes] == modes


@pytest.mark.parametrize("n", [0, 1, 2, 10])
def test_few_questions_have_no_modes(n):
    assert find_modes(questions(np.random.default_rng(0), n, faults=[frozenset({"red"})])) == []


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.0}, {"price": 0.0}, {"least_n": 0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=r"\[FindOptions\]"):
        FindOptions(**options)


def test_examples_are_of_different_pictures_and_in_other_words_where_there_are_any():
    said = [(0, "why ?"), (1, "why ?"), (1, "how ?"), (2, "why ?"), (3, "how ?"), (3, "where ?")]
    failures = [Asked(image=i, key=f"p{i}", text=text, valid=True, wrong=True) for i, text in said]
    assert [(each.image, each.question) for each in _examples(failures)] == [
        (0, "why ?"), (1, "how ?"), (3, "where ?"), (2, "why ?")
    ]  # fmt: skip
