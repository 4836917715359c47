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


@dataclass(frozen=True)
class Means:
    """Where the topics of some methods lie."""

    topics: Sequence[str]
    rows: np.ndarray
    """[topics, dim]"""
    listed: Mapping[str, str]
    """Primitive -> the topic that lists it."""


def means(taxonomy: Taxonomy, embedder: Embedder, method: str | None = None) -> Means:
    """Of the topics of a method; of all where it has none, as a method that is new.

    A primitive that several topics list belongs to the one that has it most often.
    """
    own = [each for each in taxonomy.topics if each.method == method]
    topics = own or list(taxonomy.topics)
    texts = [text for topic in topics for text in topic.primitives]
    labels = [place for place, topic in enumerate(topics) for _ in topic.primitives]
    rows = centroids(rows_of(texts, embedder), labels) if texts else np.zeros((0, embedder.dim))
    listed: dict[str, tuple[int, str]] = {}
    for topic in topics:
        for text, count in topic.primitives.items():
            if text not in listed or count > listed[text][0]:
                listed[text] = count, topic.id
    return Means([topic.id for topic in topics], rows, {text: topic for text, (_, topic) in listed.items()})


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


def needed(
    named: Named, taxonomy: Taxonomy, embedder: Embedder, method: str | None = None
) -> dict[tuple[int, str], tuple[str, ...]]:
    """The skills of questions whose primitives are known; OTHER among them for primitives that are near no topic.

    Args:
        named: the primitives of the questions.
        taxonomy: that is applied.
        embedder: the one that the taxonomy was made with.
        method: whose questions they are, where it is one of the taxonomy's.

    Raises:
        ValueError: another embedder.
    """
    check_embedder(taxonomy, embedder)
    topic_of = topics_of(
        (each for skills in named.values() for each in skills),
        means(taxonomy, embedder, method),
        embedder,
        taxonomy.threshold,
    )
    book = taxonomy.book()
    wanted: dict[str, dict[str, None]] = {}
    for (_, text), skills in named.items():
        for each in skills:
            if (topic := topic_of[each]) is not None and (topic, text) not in book.moved:
                wanted.setdefault(topic, {})[text] = None
    skill_of = dict(book.moved)
    for topic, texts in wanted.items():
        each_skill = defaults(list(texts), topic, book, embedder)
        skill_of.update(((topic, text), skill) for text, skill in zip(texts, each_skill, strict=True))

    def of(text: str, primitive: str) -> str | None:
        topic = topic_of[primitive]
        skill = OTHER if topic is None else skill_of[topic, text]
        return skill if skill in (None, OTHER) else book.root(skill)

    return {
        (image, text): tuple(dict.fromkeys(filter(None, (of(text, each) for each in skills))))
        for (image, text), skills in named.items()
    }


def check_embedder(taxonomy: Taxonomy, embedder: Embedder) -> None:
    """Raises ValueError where a taxonomy was made with another embedder."""
    if embedder.identity != taxonomy.embedder:
        raise ValueError(f"[taxonomy] embedder: expected {taxonomy.embedder}, got {embedder.identity}")
