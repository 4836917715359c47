"""What is known of questions that failed, and of close variants of them: by texts and verdicts alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vlmprobe.methods.hints import content_words

Piece = tuple[str, str]
_UNSEEN = math.log(0.5)


@dataclass
class Entry:
    """A text of the archive, over all pictures."""

    text: str
    words: frozenset[str]
    pieces: tuple[Piece, ...]
    """Neighbouring words of which one is a content word."""
    near: int
    """Failed pairs of picture and question that are close to it."""
    asked: int = 0
    valid: int = 0
    judged: int = 0
    failed: int = 0
    varied: bool = False
    """Whether its variants are in the archive."""
    images: set[int] = field(default_factory=set)
    """Those that it was asked about."""


class Archive:
    """Takes distinct pairs of picture and question; keeps the texts that failed, and variants of these.

    Args:
        close: least Jaccard similarity of the content words of two questions of a kind, in [0, 1].
    """

    def __init__(self, close: float):
        self._close_at = close
        self._entries: dict[str, Entry] = {}
        self._pairs: set[tuple[int, str]] = set()
        self._failed: list[frozenset[str]] = []  # content words of each failed pair
        self._seen: dict[int, dict[Piece, list[int]]] = {}  # image -> piece -> [valid, asked]
        self._between: dict[Piece, set[str]] = {}  # (word before, word after) -> words of valid questions

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, pair: object) -> bool:
        """Whether a question was asked about a picture."""
        return pair in self._pairs

    def unsettled(self, cap: int) -> list[Entry]:
        """The entries whose kind has failed less often than `cap` times."""
        return [entry for entry in self._entries.values() if entry.near < cap]

    def take(self, image: int, text: str, *, valid: bool, correct: bool | None) -> None:
        """Takes what became of a question; nothing where the pair is known already."""
        if (image, text) in self._pairs:
            return
        self._pairs.add((image, text))
        words, wrong = content_words(text), valid and correct is False
        self._learn(image, text, valid)
        if wrong and text not in self._entries:
            self._enter(text, words)
        entry = self._entries.get(text)
        if entry is not None:
            entry.images.add(image)
            entry.asked += 1
            entry.valid += valid
            entry.judged += valid and correct is not None
            entry.failed += wrong
        if wrong:
            self._failed.append(words)
            for each in self._entries.values():
                each.near += self._close(each.words, words)

    def entry(self, text: str) -> Entry:
        """What is known of a text: its entry, or, of one that is not in the archive, one with its words alone."""
        known = self._entries.get(text)
        return known or Entry(text, content_words(text), _pieces(text), near=0)

    def vary(self, count: int, *, cap: int, seed: int) -> None:
        """Takes up `count` variants of each open text that failed and has none yet.

        See `variants`.
        """
        rng = np.random.default_rng(seed)
        for entry in self.unsettled(cap):
            if entry.failed and not entry.varied:
                entry.varied = True
                drawn = sorted(self.variants(entry.text) - self._entries.keys())
                for i in rng.permutation(len(drawn))[:count]:
                    self._enter(drawn[i], content_words(drawn[i]))

    def chances(self, image: int, entries: Sequence[Entry]) -> np.ndarray:
        """[E] in (0, 1]: how likely each text is to be valid about a picture, on a scale of its own.

        It is the square of the geometric mean, over the pieces of the text, of (valid + 1/2) / (asked + 1), counted
        over what was asked about this picture with that piece.
        """
        seen = self._seen.get(image, {})
        logs = {piece: math.log((valid + 0.5) / (asked + 1)) for piece, (valid, asked) in seen.items()}
        sums = [sum(logs.get(piece, _UNSEEN) for piece in entry.pieces) for entry in entries]
        return np.exp([2 * each / max(1, len(entry.pieces)) for each, entry in zip(sums, entries, strict=True)])

    def _learn(self, image: int, text: str, valid: bool) -> None:
        seen = self._seen.setdefault(image, {})
        for piece in _pieces(text):
            counts = seen.setdefault(piece, [0, 0])
            counts[0] += valid
            counts[1] += 1
        if valid:
            for before, word, after in _in_place(text):
                self._between.setdefault((before, after), set()).add(word)

    def _enter(self, text: str, words: frozenset[str]) -> None:
        near = sum(self._close(words, other) for other in self._failed)
        self._entries[text] = Entry(text, words, _pieces(text), near)

    def _close(self, one: frozenset[str], other: frozenset[str]) -> bool:
        return len(one & other) >= self._close_at * len(one | other)

    def variants(self, text: str) -> set[str]:
        """The text with another content word in the place of one, which some valid question had between the same
        words."""
        said, found = text.split(), set[str]()
        for at, (before, word, after) in enumerate(_in_place(text)):
            if content_words(word):
                others = self._between.get((before, after), set())
                found |= {" ".join([*said[:at], other, *said[at + 1 :]]) for other in others}
        return found - {text}


def _in_place(text: str) -> list[tuple[str, str, str]]:
    """Each word with its neighbours, empty at the ends."""
    said = ["", *text.split(), ""]
    return list(zip(said, said[1:], said[2:], strict=False))


def _pieces(text: str) -> tuple[Piece, ...]:
    said = text.split()
    return tuple(pair for pair in itertools.pairwise(said) if content_words(" ".join(pair)))
