"""Lessons of the narrow questioners: what they ask of themselves, and what they ask when a prompt says about what.

A lesson's kind is drawn by `KINDS`. Without a hint the questions obey the law of `habits`. With one they are any valid
questions of the picture that follow it, because a hint asks for what is rare; where it only says what not to ask
about, they are the habitual ones that are left. A hint that a picture cannot meet is drawn again.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from vlmprobe._native import core
from vlmprobe.world import habits, hints
from vlmprobe.world.lessons import Lesson, encode

KINDS = {"none": 25, "pair": 35, "word": 10, "skill": 10, "skill and word": 10, "not": 6, "word, not": 4}
"""Of a hundred lessons, how many have a hint of each kind."""

MOST_QUESTIONS = 4
_BAG = 1_500  # uniform questions of a picture, among which a pair of the rarest is found once on average
_ATTEMPTS = 200  # habitual questions that are drawn for k that a hint leaves

Hint = tuple[tuple[str, ...], tuple[str, ...]]
"""What to ask about, and what not."""

_NO_HINT: Hint = ((), ())


class Bag:
    """Distinct valid questions about one scene, found by the terms of hints.

    Args:
        scene: of the world.
        seed, index: name the random numbers of the sample.
    """

    def __init__(self, scene: core.world.Scene, seed: int, index: int):
        skills = {family: skill for skill, family in hints.SKILLS.items()}
        words = set(hints.hint_words())
        self.scene, self.questions = scene, list[str]()
        self._terms: list[frozenset[str]] = []
        self._with = defaultdict[str, set[int]](set)
        known = set()
        for part in range(_BAG):
            sample = core.world.sample_question(scene, seed, index, part)
            if sample.question in known:
                continue
            known.add(sample.question)
            terms = frozenset(words.intersection(sample.question.split())) | {skills[sample.program.family]}
            for term in terms:
                self._with[term].add(len(self.questions))
            self.questions.append(sample.question)
            self._terms.append(terms)

    def terms_of_one(self, draw: random.Random) -> tuple[str, str]:
        """The skill of a question drawn from the bag, and one of its words."""
        terms = draw.choice(self._terms)
        [skill] = terms & hints.SKILLS.keys()
        words = sorted(terms - {skill})
        return (skill, draw.choice(words)) if words else self.terms_of_one(draw)

    def following(self, hint: Hint) -> list[str]:
        """The questions that follow a hint which says what to ask about."""
        about, not_about = hint
        found = set.intersection(*(self._with.get(term, set()) for term in about))
        for term in not_about:
            found = found - self._with.get(term, set())
        return [self.questions[i] for i in sorted(found)]


def draw_hint(kind: str, bag: Bag, draw: random.Random) -> Hint:
    """A hint of a kind of `KINDS` that is not `none`."""
    words, skills = hints.hint_words(), list(hints.SKILLS)
    if kind == "pair":
        return draw.choice(hints.hint_pairs()), ()
    if kind == "word":
        return (draw.choice(words),), ()
    if kind == "skill":
        return (draw.choice(skills),), ()
    if kind == "skill and word":
        return bag.terms_of_one(draw), ()
    if kind == "not":
        sample = habits.habitual_question(bag.scene, draw)
        skill = next(skill for skill, family in hints.SKILLS.items() if family == sample.program.family)
        held = [word for word in words if word in sample.question.split()]
        return (), (draw.choice([skill, draw.choice(held)]) if held else skill,)
    return (draw.choice(words),), (draw.choice(skills),)


def habitual(scene: core.world.Scene, k: int, draw: random.Random, not_about: Sequence[str] = ()) -> list[str]:
    """Up to k different questions by the law that a hint leaves."""
    questions: list[str] = []
    for _ in range(_ATTEMPTS):
        sample = habits.habitual_question(scene, draw)
        kept = hints.follows(sample.question, sample.program.family, not_about=not_about)
        if kept and sample.question not in questions:
            questions.append(sample.question)
        if len(questions) == k:
            break
    return questions


def hinted_lesson(bag: Bag, k: int, draw: random.Random) -> Lesson:
    """Up to k different valid questions in response tags, with or without a hint; fewer where no more follow it."""
    [kind] = draw.choices(list(KINDS), list(KINDS.values()))
    questions: list[str] = []
    about, not_about = _NO_HINT
    while not questions:
        if kind != "none":
            about, not_about = draw_hint(kind, bag, draw)
        if about:
            following = bag.following((about, not_about))
            questions = draw.sample(following, min(k, len(following)))
        else:
            questions = habitual(bag.scene, k, draw, not_about)
    prompt = hints.hinted_prompt(len(questions), about=about, not_about=not_about)
    said = " ".join(f"<response_{i}> {question} </response_{i}>" for i, question in enumerate(questions, start=1))
    return Lesson(encode(prompt), encode(said), kind)
