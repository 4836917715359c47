"""Prompts that say what to ask about, what follows them, and the lessons that teach it."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from vlmprobe import world
from vlmprobe._native import core
from vlmprobe.text import parse_responses
from vlmprobe.world import hinted_lessons, hints, tiny
from vlmprobe.world.hints import follows, hinted_prompt


def test_a_prompt_says_what_to_ask_about_and_what_not():
    assert hinted_prompt(2) == "ask 2 questions"
    assert hinted_prompt(2, about=("red", "left")) == "ask 2 questions about red left ."
    assert hinted_prompt(not_about=["colors"]) == "ask {k} questions not about colors ."
    assert (
        hinted_prompt(1, about=["neighbors"], not_about=("red",)) == "ask 1 questions about neighbors not about red ."
    )


@pytest.mark.parametrize(
    "given, message",
    [
        ({"about": ("red", "left", "star")}, r"\[hinted_prompt\] about: expected up to 2 terms, got \('red', 'left'"),
        ({"not_about": "red"}, r"\[hinted_prompt\] not_about: expected up to 2 terms, got 'red'"),
        ({"about": ("teapot",)}, r"\[hinted_prompt\] about: expected a skill or a word of questions, got 'teapot'"),
        ({"about": ("the",)}, r"\[hinted_prompt\] about: expected a skill or a word of questions, got 'the'"),
    ],
)
def test_a_hint_that_no_question_can_follow_is_refused(given, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        hinted_prompt(2, **given)


def test_a_question_follows_by_its_words_and_its_family():
    question = "is the red star left of the circle ?"
    assert follows(question, "relation", about=("red", "left"))
    assert follows(question, "relation", about=("relations", "star"), not_about=("colors", "blue"))
    assert not follows(question, "relation", about=("red", "above"))
    assert not follows(question, "relation", about=("colors",))
    assert not follows(question, "relation", not_about=("star",))
    assert not follows("which object is the nicest ?", None, about=("relations",))


def test_every_term_means_one_thing_and_the_tokenizer_knows_it():
    known = set(tiny.vocabulary())
    assert not set(hints.PROMPT_WORDS) & set(core.world.grammar_words())
    assert sorted(hints.SKILLS.values()) == sorted(core.world.families)
    for about in [
        *hints.hint_pairs(),
        *((word,) for word in hints.hint_words()),
        *((skill,) for skill in hints.SKILLS),
    ]:
        assert known.issuperset(hinted_prompt(2, about=about, not_about=("colors",)).split())


def test_hint_words_and_pairs_are_what_uniform_questions_hold_often_enough():
    shares, pairs = hints.term_shares(), hints.hint_pairs()
    assert len(hints.hint_words()) > 50 and len(pairs) > 600 and len(set(map(frozenset, pairs))) == len(pairs)
    assert all(shares[pair] >= hints.PAIR_SHARE for pair in pairs)
    n, held = 8_000, Counter[tuple[str, ...]]()
    for i in range(n):
        words = set(world.sample_question(world.sample_scene(91, i), 91, i, 0).question.split())
        held.update(pair for pair in pairs[:40] if words.issuperset(pair))
    for pair in pairs[:40]:
        assert abs(held[pair] / n - shares[pair]) < 5 * (shares[pair] / n) ** 0.5


def hint_in(prompt: str) -> tuple[list[str], list[str]]:
    """A second reading of the prompts' grammar."""
    read = re.fullmatch(r"ask \d questions(?: about ((?!about)[a-z ]+?))?(?: not about ([a-z ]+?))?(?: \.)?", prompt)
    assert read is not None, prompt
    return (read[1] or "").split(), (read[2] or "").split()


def test_what_a_lesson_asks_is_valid_and_follows_the_prompt():
    vocabulary, draw, kinds = tiny.vocabulary(), random.Random(1), Counter[str]()
    for index in range(30):
        scene = world.sample_scene(4, index)
        bag = hinted_lessons.Bag(scene, 4, index)
        for _ in range(12):
            lesson = hinted_lessons.hinted_lesson(bag, 3, draw)
            prompt, reply = (" ".join(vocabulary[i] for i in ids) for ids in (lesson.prompt, lesson.reply))
            about, not_about = hint_in(prompt)
            asked = int(prompt.split()[1])
            texts = parse_responses([reply], k=asked).text
            assert len(set(texts)) == asked and (not about) == (lesson.tag in ("none", "not"))
            for text in texts:
                judged = world.judge(scene, text)
                assert judged.valid and follows(text, judged.program.family, about=about, not_about=not_about)
            kinds[lesson.tag] += 1
    assert kinds.keys() == hinted_lessons.KINDS.keys()
    assert 0.15 < kinds["none"] / kinds.total() < 0.35  # 25 of 100; n = 360, four standard errors of 2.3 points
