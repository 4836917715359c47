"""What is known of a question without the truth."""

from __future__ import annotations

import pytest

from vlmprobe.modes.asked import Asked, described
from vlmprobe.modes.concepts import Concept, answer_words, answers_of, words_of
from vlmprobe.modes.naming import name_of
from vlmprobe.modes.rules import Rule

RED, LEFT, GREEN = Concept("word", "red"), Concept("word", "left"), Concept("answer", "green")


def test_words_are_in_the_singular_and_say_something():
    assert {word.value for word in words_of("How many striped boxes are there to the LEFT of the bus?")} == {
        "many", "striped", "box", "left", "bus",
    }  # fmt: skip


def test_the_right_answer_is_what_was_said_where_that_was_right_and_else_what_the_verifier_says():
    known = frozenset({"green", "3", "red"})
    assert answers_of("It is green.", "yes, correct", correct=True, known=known) == {GREEN}
    assert answers_of("red", "it is green, not red", correct=False, known=known) == {GREEN}
    assert answers_of("4", "there are 3", correct=False, known=known) == {Concept("answer", "3")}


def test_words_with_which_a_verifier_says_no_are_no_concepts():
    rows = [
        Asked(image=i, key=str(i), text="what color", valid=True, wrong=wrong, answer="red" if wrong else "green",
              reason="incorrect, it is actually green" if wrong else "that is right")
        for i, wrong in enumerate([True, False] * 10)
    ]  # fmt: skip
    assert {concept for each in described(rows) for concept in each.concepts if concept.kind == "answer"} == {GREEN}


def test_a_word_that_was_a_right_answer_once_is_not_known_yet():
    assert answer_words(["green", "a green one", "blue"]) == {"green"}


def test_a_rule_takes_what_has_one_concept_of_each_part():
    rule = Rule.of([RED], [LEFT, Concept("word", "leftmost")])
    assert rule.takes(frozenset({RED, LEFT})) and rule.takes(frozenset({RED, Concept("word", "leftmost"), GREEN}))
    assert not rule.takes(frozenset({RED})) and not rule.takes(frozenset())


def test_a_rule_is_the_same_in_any_order_and_after_json():
    rule = Rule.of([GREEN], [LEFT, RED])
    assert rule == Rule.of([RED, LEFT], [GREEN]) == Rule.read(rule.plain())


@pytest.mark.parametrize("parts", [[], [[RED], [LEFT], [GREEN], [Concept("word", "x")]], [[]], [[RED, GREEN]]])
def test_other_numbers_of_parts_and_mixed_parts_are_refused(parts):
    with pytest.raises(ValueError, match=r"\[Rule\] parts: expected 1 to 3"):
        Rule.of(*parts)


@pytest.mark.parametrize("plain", [3, [3], [[{"kind": "word"}]], [["red"]]])
def test_what_is_no_rule_is_refused(plain):
    with pytest.raises(ValueError, match=r"\[Rule\]"):
        Rule.read(plain)


def test_names_are_plain_words():
    assert name_of(Rule.of([RED], [LEFT], [GREEN])) == "questions with “left” and “red” whose right answer has “green”"
    assert name_of(Rule.of([Concept("label", "counting")])) == "questions about “counting”"
    assert name_of(Rule.of([GREEN])) == "questions whose right answer has “green”"
