"""The hints that questioners of the embedded world were taught to follow."""

from __future__ import annotations

from vlmprobe.methods.bandit import Bandit
from vlmprobe.methods.hints import Hint
from vlmprobe.world.hints import MOST_TERMS, hint_pairs, hint_words, hinted_prompt


def world_hints() -> list[Hint]:
    """The words and the pairs of words that they were taught to ask about."""
    return [*(Hint.of([word]) for word in hint_words()), *map(Hint.of, hint_pairs())]


def world_prompt(k: int, hint: str) -> str:
    """What one is told, to ask about the words of a hint."""
    return hinted_prompt(k, about=hint.split())


def can_be_told(hint: Hint) -> bool:
    """Whether they were taught so many words, and these."""
    return 0 < len(hint.words) <= MOST_TERMS and hint.words <= set(hint_words())


def world_bandit() -> Bandit:
    """Who chooses among them, before anything was asked."""
    return Bandit(world_hints(), fits=can_be_told)
