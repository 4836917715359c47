"""The skills of questions by a taxonomy that is there: no clustering, and no call beside those for the primitives.

    primitive -> the topic that lists it; else the topic of the nearest mean, if the cosine is at least the threshold
    topic     -> where the question was moved; else the topic's skill; of several, that of the nearest questions

The mean of a topic is that of the primitives that it lists, each once. So a person who moves a primitive to another
topic moves the means as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlmprobe.models.protocols import Embedder
from vlmprobe.taxonomy.clusters import centroids, nearest
from vlmprobe.taxonomy.document import Taxonomy
from vlmprobe.taxonomy.primitives import Named
from vlmprobe.taxonomy.skills import defaults
from vlmprobe.taxonomy.topics import rows_of

OTHER = "other"
"""In the place of the skill of a primitive that is near no topic."""

Needed = Mapping[tuple[int, str], tuple[str, ...]]
"""(picture, question) -> ids of the skills that it needs, the one that it turns on first."""

Assigned = Mapping[tuple[int, str], tuple[tuple[str, str | None], ...]]
"""(picture, question) -> its primitives, each with the id of its skill, OTHER, or None where the question does not need
it."""


@dataclass(frozen=True)
class Means:
    """Where the topics lie."""

    topics: Sequence[str]
    rows: np.ndarray
    """[topics, dim]"""
    listed: Mapping[str, str]
    """Primitive -> the topic that lists it."""


def means(taxonomy: Taxonomy, embedder: Embedder, method: str | None = None) -> Means:
    """Of all topics. A primitive that several list belongs to one of the method, if there is one, and among these to
    the one that has it most often.

    Raises:
        ValueError: the taxonomy was made with another embedder.
    """
    check_embedder(taxonomy, embedder)
    texts = [text for topic in taxonomy.topics for text in topic.primitives]
    labels = [place for place, topic in enumerate(taxonomy.topics) for _ in topic.primitives]
    rows = centroids(rows_of(texts, embedder), labels) if texts else np.zeros((0, embedder.dim))
    listed: dict[str, tuple[tuple[bool, int], str]] = {}
    for topic in taxonomy.topics:
        for text, count in topic.primitives.items():
            claim = topic.method == method, count
            if text not in listed or claim > listed[text][0]:
                listed[text] = claim, topic.id
    return Means([topic.id for topic in taxonomy.topics], rows, {text: topic for text, (_, topic) in listed.items()})


def topics_of(primitives: Iterable[str], among: Means, embedder: Embedder, threshold: float) -> dict[str, str | None]:
    """Primitive -> its topic; None where none is near enough."""
    texts = list(dict.fromkeys(primitives))
    found: dict[str, str | None] = {text: among.listed.get(text) for text in texts}
    new = [text for text, topic in found.items() if topic is None]
    if new:
        places, cosines = nearest(rows_of(new, embedder), among.rows)
        for text, place, cosine in zip(new, places, cosines, strict=True):
            found[text] = among.topics[place] if place >= 0 and cosine >= threshold else None
    return found


def assigned(named: Named, taxonomy: Taxonomy, embedder: Embedder, method: str | None = None) -> Assigned:
    """The skill of each primitive of questions.

    Args:
        named: the primitives of the questions.
        taxonomy: that is applied.
        embedder: the one that the taxonomy was made with.
        method: whose questions they are, where it is one of the taxonomy's.

    Raises:
        ValueError: another embedder.
    """
    words = (each for skills in named.values() for each in skills)
    topic_of = topics_of(words, means(taxonomy, embedder, method), embedder, taxonomy.threshold)
    book = taxonomy.book()
    new: dict[str, dict[str, None]] = {}
    for (_, text), skills in named.items():
        for topic in filter(None, map(topic_of.__getitem__, skills)):
            if (topic, text) not in book.moved:
                new.setdefault(topic, {})[text] = None
    skill_of = dict(book.moved)
    for topic, texts in new.items():
        own = defaults(list(texts), topic, book, embedder)
        skill_of.update(((topic, text), skill) for text, skill in zip(texts, own, strict=True))

    def of(text: str, topic: str | None) -> str | None:
        found = OTHER if topic is None else skill_of[topic, text]
        return found if found in (None, OTHER) else book.root(found)

    return {
        (image, text): tuple((each, of(text, topic_of[each])) for each in skills)
        for (image, text), skills in named.items()
    }


def needed(found: Assigned) -> Needed:
    """The skills of each question, each once."""
    return {
        place: tuple(dict.fromkeys(skill for _, skill in skills if skill is not None))
        for place, skills in found.items()
    }


def check_embedder(taxonomy: Taxonomy, embedder: Embedder) -> None:
    """Raises ValueError where a taxonomy was made with another embedder."""
    if embedder.identity != taxonomy.embedder:
        raise ValueError(f"[taxonomy] embedder: expected {taxonomy.embedder}, got {embedder.identity}")
