"""What somebody says of questions, by their texts: of many questions of one text, and of texts that are nearly the
same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

Labels = Mapping[str, Sequence[str]]
"""Text of a question -> labels, such as the skills that it needs."""


def of_most(said: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    """Text -> the labels that at least half of its questions have.

    A text is asked about several pictures, and a model that labels errs now and then.

    Args:
        said: text and labels of each question.

    >>> of_most([("how many?", ["counting"]), ("how many?", ["counting", "color"]), ("how many?", ["counting"])])
    {'how many?': ['counting']}
    """
    counts: dict[str, Counter[str]] = {}
    total: Counter[str] = Counter()
    for text, labels in said:
        counts.setdefault(text, Counter()).update(set(labels))
        total[text] += 1
    return {text: sorted(one for one, n in found.items() if 2 * n >= total[text]) for text, found in counts.items()}


class NearLabels(Mapping[str, Sequence[str]]):
    """Labels of texts, also of those that nobody labelled but that differ from labelled ones by a word.

    Fresh questions are made of a run's by changing a word. Such a text has what at least half of the labelled texts
    have that differ from it by one word; a text that is near none has no labels.

    Args:
        known: labels of texts.

    >>> near = NearLabels({"how many cats are there": ["counting"], "is there a cat": ["existence"]})
    >>> near["how many dogs are there"], near["what is this"]
    (['counting'], [])
    """

    def __init__(self, known: Labels):
        self._known = known
        self._near: dict[tuple[str, ...], list[str]] = {}
        for text in known:
            for some in _but_one(text):
                self._near.setdefault(some, []).append(text)

    def __getitem__(self, text: str) -> Sequence[str]:
        if text in self._known:
            return self._known[text]
        near = {other for some in _but_one(text) for other in self._near.get(some, ())}
        return of_most(("", self._known[other]) for other in sorted(near)).get("", [])

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, text: str, default: object = None) -> Sequence[str]:
        """The labels; no text is unknown."""
        return self[text]


def _but_one(text: str) -> Iterator[tuple[str, ...]]:
    words = text.lower().split()
    return ((*words[:i], "", *words[i + 1 :]) for i in range(len(words)))
