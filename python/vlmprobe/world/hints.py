"""Hints of the embedded world: pairs of words of its questions, and how its questioners are told one."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cache

from vlmprobe._native import core

_SEED, _SCENES, _EACH = 555, 250, 120  # of the questions whose words are counted
_LEAST = 0.0006  # share of the questions that have a pair of words
_SAY_NOTHING = """
is are the a an of in there do does you see how what which that to and it its this picture image scene shown visible any
on at one thing object objects things ask questions name tell me find with has have than or from by be can appear
"""
_SAID = frozenset(_SAY_NOTHING.split())
"""Words of the world's questions that say nothing of what they are about."""


def hint_prompt(k: int, hint: str) -> str:
    """What a questioner of the world is asked, to have k questions with the words of a hint."""
    return f"ask {k} questions {hint}"


@cache
def hint_words() -> tuple[tuple[str, str], ...]:
    """The pairs of words that at least .06 % of uniform valid questions have, in alphabetical order."""
    counts: Counter[tuple[str, str]] = Counter()
    for scene in range(_SCENES):
        seen = core.world.sample_scene(_SEED, scene)
        for part in range(_EACH):
            said = core.world.sample_question(seen, _SEED, scene, part).question.split()
            words = sorted({word for word in said if word.isalpha() and word not in _SAID})
            counts.update(itertools.combinations(words, 2))
    return tuple(sorted(pair for pair, count in counts.items() if count >= _LEAST * _SCENES * _EACH))
