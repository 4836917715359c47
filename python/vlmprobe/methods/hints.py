"""Hints: what a questioner is told to ask about, where they come from, and which questions have one."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from vlmprobe._util.json import read_text
from vlmprobe.text import prefix

SKILLS = Path(__file__).parent / "visual_skills.txt"
"""The package's list of visual skills for real pictures."""

_STOP = """
a about all along am an and any appear appears are as ask at be been being but by can could did do does each every
find for from had has have he her here him his how i if image in into is it its just let may me might must my name of
on or our out over own per photo picture please question questions say scene see seem seems seen shall she should show
shown so some such tell than that the their them then there these they thing things this those to too up upon us very
visible was we were what when where whether which while who whom whose why will with within would you your
"""
STOP_WORDS = frozenset(_STOP.split())
"""Words that say nothing of what a question is about."""
_ALL = 10_000  # words of a question


@dataclass(frozen=True)
class Hint:
    """Something to ask about."""

    text: str
    """As the questioner is told."""
    words: frozenset[str] = frozenset()
    """A question that has all of them is about this hint, whoever asked it; empty: only questions that were asked for
    this hint are."""
    composed: bool = False
    """Whether it is two hints at once."""

    @classmethod
    def of(cls, words: Iterable[str], *, composed: bool = False) -> Hint:
        """A hint that is its words."""
        found = sorted(set(words))
        return cls(" ".join(found), frozenset(found), composed)

    def and_(self, other: Hint) -> Hint:
        """Both at once."""
        if self.words and other.words:
            return Hint.of(self.words | other.words, composed=True)
        first, second = sorted((self.text, other.text))
        return Hint(f"{first}, together with: {second}", composed=True)


class Hints(Protocol):
    """Chooses what to ask about."""

    @property
    def identity(self) -> str:
        """Which choice among which hints, the same string in every run."""

    def choose(self, count: int, *, seed: int, step: int) -> list[str]:
        """The texts of `count` hints, one for each image of a step; equal arguments, after equal steps, equal hints."""


class UniformHints:
    """Hints drawn uniformly, whatever came of them.

    Args:
        hints: at least one.
    """

    def __init__(self, hints: Sequence[Hint]):
        self._texts = [hint.text for hint in checked("UniformHints", hints)]
        self.identity = f"uniform hints {digest(self._texts)}"

    def choose(self, count: int, *, seed: int, step: int) -> list[str]:
        """See `Hints`."""
        drawn = np.random.default_rng([seed, step]).integers(len(self._texts), size=count)
        return [self._texts[i] for i in drawn]


def read_hints(path: str | Path = SKILLS) -> list[Hint]:
    """Hints from a file with one a line; empty lines and those that begin with # are passed over.

    Raises:
        ValueError: a file that is not there, is no UTF-8, or has no hint.
    """
    lines = [" ".join(line.split()) for line in read_text("read_hints", Path(path)).splitlines()]
    return checked("read_hints", [Hint(line) for line in dict.fromkeys(lines) if line and not line.startswith("#")])


def content_words(question: str) -> frozenset[str]:
    """The words of a question that say what it is about: lower case, no punctuation, no stop words, no digits alone.

    >>> sorted(content_words("How many red circles are there?"))
    ['circles', 'red']
    """
    words = prefix(question, length=_ALL).split()
    return frozenset(word for word in words if word not in STOP_WORDS and not word.isdigit())


def word_hints(words: Iterable[str]) -> list[Hint]:
    """A hint for each word and for each pair of them."""
    found = sorted(set(words))
    return [Hint.of(some) for count in (1, 2) for some in itertools.combinations(found, count)]


def digest(texts: Sequence[str]) -> str:
    """Twelve hexadecimal digits that name a list of hints."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def checked(op: str, hints: Sequence[Hint]) -> list[Hint]:
    """Hints with different texts, at least one.

    Raises:
        ValueError: there is none, or a text comes twice.
    """
    if not hints:
        raise ValueError(f"[{op}] hints: expected at least one, got none")
    seen: set[str] = set()
    for hint in hints:
        if hint.text in seen:
            raise ValueError(f"[{op}] hints: expected different texts, got {hint.text!r:.60} twice")
        seen.add(hint.text)
    return list(hints)
