"""Hints for the questioners of the embedded world, which were taught to follow them."""

from __future__ import annotations

from vlmprobe.methods.hints import Hint
from vlmprobe.world.hints import MOST_TERMS, hint_pairs, hint_words, hinted_prompt


def world_hints() -> list[Hint]:
    """The words and the pairs of words that they were taught to ask about."""
    return [*(Hint.of([word]) for word in hint_words()), *map(Hint.of, hint_pairs())]


def world_prompt(k: int, hint: str) -> str:
    """What they are told, to ask k questions with the words of a hint."""
    return hinted_prompt(k, about=hint.split())


def world_can_be_told(hint: Hint) -> bool:
    """Whether they were taught so many words at once, and these."""
    return 0 < len(hint.words) <= MOST_TERMS and hint.words <= set(hint_words())
