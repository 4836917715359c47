"""What a run knows of a question without being told the truth: its words, and what the right answer was.

    word     a content word of the question, in the singular
    answer   a word of the right answer: what was answered, where that was judged right; else what the verifier says it
             is, of the words that were right answers elsewhere in the run
    label    what somebody says of the question, such as a skill of a taxonomy
    picture  what somebody says of the picture: a tag, or a content word of a caption

The verifier's words count only where they are right answers elsewhere. So a word with which it says no ("incorrect")
is no concept: it would foretell the verdict and say nothing about the question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from vlmprobe.methods.hints import STOP_WORDS, content_words
from vlmprobe.text import prefix

Kind = Literal["word", "answer", "label", "picture"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEAST_ANSWERS = 2
"""Right answers that have a word before it counts as one."""
_ALL = 10_000  # words of a text


class Concept(NamedTuple):
    """Something that a question has or has not."""

    kind: Kind
    value: str


def words_of(question: str) -> frozenset[Concept]:
    """The words that say what a question is about, in the singular.

    >>> sorted(concept.value for concept in words_of("How many red crosses are there?"))
    ['cross', 'many', 'red']
    """
    return frozenset(Concept("word", singular(word)) for word in content_words(question))


def said(text: str) -> frozenset[str]:
    """The words of an answer or of a reason, numbers among them, without those that say nothing.

    >>> sorted(said("There are 3 red circles."))
    ['3', 'circle', 'red']
    """
    return frozenset(singular(word) for word in prefix(text, length=_ALL).split() if word not in STOP_WORDS)


def singular(word: str) -> str:
    """An English noun's singular, by its ending; words of other kinds change as little as they may.

    >>> [singular(word) for word in ("boxes", "circles", "cities", "glass", "is")]
    ['box', 'circle', 'city', 'glass', 'is']
    """
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-2] if word.endswith(("sses", "xes", "ches", "shes", "zes")) else word[:-1]


def answer_words(right: Iterable[str]) -> frozenset[str]:
    """The words that answers judged right consist of, each in at least `LEAST_ANSWERS` of them.

    Args:
        right: such answers, one for each judged question.
    """
    counts = Counter(word for text in right for word in said(text))
    return frozenset(word for word, count in counts.items() if count >= LEAST_ANSWERS)


def answers_of(answer: str, reason: str, *, correct: bool, known: frozenset[str]) -> frozenset[Concept]:
    """The right answer to a question, as far as the run knows it.

    Args:
        answer: what was answered.
        reason: the verifier's words about that.
        correct: whether it was judged right.
        known: of `answer_words`.
    """
    found = said(answer) if correct else said(reason) - said(answer)
    return frozenset(Concept("answer", word) for word in found & known)


def labels_of(labels: Sequence[str]) -> frozenset[Concept]:
    """What somebody says of a question."""
    return frozenset(Concept("label", label) for label in labels)


def picture_of(said: str | Sequence[str]) -> frozenset[Concept]:
    """What somebody says of a picture: of a caption its content words, of tags each as it is.

    >>> sorted(concept.value for concept in picture_of("Two dogs in a kitchen."))
    ['dog', 'kitchen', 'two']
    """
    if isinstance(said, str):
        return frozenset(Concept("picture", word.value) for word in words_of(said))
    return frozenset(Concept("picture", tag) for tag in said)
