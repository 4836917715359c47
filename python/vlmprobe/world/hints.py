"""What a prompt may ask the world's questioners to ask about, and not to.

    ask 2 questions about red left .                          both words
    ask 2 questions about neighbors .                         a skill: the family `nearest`
    ask 2 questions about neighbors color .                   a skill and a word: what color the nearest object has
    ask 2 questions not about colors .                        another kind than what it would ask most
    ask 2 questions about small not about existence .         both

A term is a word of `hint_words()`, which a question has to hold as it is written, or one of `SKILLS`, of whose family
a question has to be. No skill is spelled like a word of the grammar, so a term means one thing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import combinations

from vlmprobe._native import core

SKILLS = {
    "counts": "count",
    "totals": "count_all",
    "existence": "exist",
    "comparisons": "compare",
    "colors": "color",
    "shapes": "shape",
    "sizes": "size",
    "textures": "texture",
    "relations": "relation",
    "neighbors": "nearest",
    "extremes": "extreme",
    "corners": "corner",
    "similarities": "same",
    "exclusions": "negation",
    "steps": "two_step",
}
"""A skill's name in a prompt, and its family of questions."""

PROMPT_WORDS = ("about", *SKILLS)
"""The words of these prompts that no question holds."""

MOST_TERMS = 2

WORD_SHARE, PAIR_SHARE = 0.004, 0.0006
"""Of uniform valid questions, what a word or a pair occurs in at least."""

_FUNCTION = (
    ". , : ? a all an and any appear are as at be can do does every find found from give has have here how in is it "
    "its like look looking many me name object objects of only or out picture present say see show shown tell than "
    "that the their there thing things this to total visible what which would you"
)
_CENSUS_SEED, _CENSUS_SCENES, _CENSUS_PARTS = 4_000_004, 2_000, 30


def hinted_prompt(k: int | None = None, *, about: Sequence[str] = (), not_about: Sequence[str] = ()) -> str:
    """The prompt that asks for questions about something.

    Args:
        k: questions to ask, 1 to 4 in the lessons; None leaves `{k}`, as `Questioner(prompt=...)` wants it.
        about: up to two terms that each question should have.
        not_about: up to two terms that no question should have.

    Returns:
        `ask 2 questions about red left not about counts .`; without terms `ask 2 questions`.

    Raises:
        ValueError: more than two terms, or one that is neither a skill nor a word of the questions.

    Example:
        >>> hinted_prompt(2, about=("red", "left"), not_about=("counts",))
        'ask 2 questions about red left not about counts .'
    """
    for name, terms in (("about", about), ("not_about", not_about)):
        if isinstance(terms, str) or len(terms) > MOST_TERMS:
            raise ValueError(f"[hinted_prompt] {name}: expected up to {MOST_TERMS} terms, got {terms!r:.60}")
        for term in terms:
            if term not in SKILLS and term not in _content_words():
                raise ValueError(f"[hinted_prompt] {name}: expected a skill or a word of questions, got {term!r:.60}")
    said = ["ask", "{k}" if k is None else str(k), "questions"]
    said += ["about", *about] if about else []
    said += ["not", "about", *not_about] if not_about else []
    return " ".join([*said, "."] if about or not_about else said)


def follows(question: str, family: str | None, *, about: Sequence[str] = (), not_about: Sequence[str] = ()) -> bool:
    """Whether a question does what the hint asks for.

    Args:
        question: its text.
        family: that of its program, None where it has none.
        about, not_about: as in `hinted_prompt`.
    """
    words = set(question.split())

    def has(term: str) -> bool:
        return SKILLS[term] == family if term in SKILLS else term in words

    return all(map(has, about)) and not any(map(has, not_about))


def hint_words() -> list[str]:
    """The content words that at least .4 % of uniform valid questions hold, the most frequent first."""
    return list(_census()[0])


def hint_pairs() -> list[tuple[str, str]]:
    """The pairs of hint words that at least .06 % of uniform valid questions hold, the most frequent first."""
    return list(_census()[1])


def term_shares() -> dict[tuple[str, ...], float]:
    """The share of uniform valid questions that hold a hint word or pair, by its words."""
    words, pairs = _census()
    singles: list[tuple[tuple[str, ...], float]] = [((word,), share) for word, share in words.items()]
    return dict([*singles, *pairs.items()])


@cache
def _content_words() -> frozenset[str]:
    return frozenset(core.world.grammar_words()) - frozenset(_FUNCTION.split())


@cache
def _census() -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Shares of words and of pairs in a seeded sample of 60,000 uniform valid questions."""
    words: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    content = _content_words()
    for index in range(_CENSUS_SCENES):
        scene = core.world.sample_scene(_CENSUS_SEED, index)
        for part in range(_CENSUS_PARTS):
            said = core.world.sample_question(scene, _CENSUS_SEED, index, part).question
            held = sorted(content.intersection(said.split()))
            words.update(held)
            pairs.update(combinations(held, 2))
    total = _CENSUS_SCENES * _CENSUS_PARTS
    kept = {word: words[word] / total for word in sorted(words, key=lambda word: (-words[word], word))}
    kept = {word: share for word, share in kept.items() if share >= WORD_SHARE}
    both = {pair: pairs[pair] / total for pair in sorted(pairs, key=lambda pair: (-pairs[pair], pair))}
    return kept, {pair: share for pair, share in both.items() if share >= PAIR_SHARE and kept.keys() >= {*pair}}
