"""Stage 3: topics to skills, across methods; a model keeps, renames, merges or splits, a batch of questions at a time.

The first batch of a topic decides what becomes of the whole; the others say which questions do not need the skill, and
move some. Batches of a round are asked side by side and applied in the order of the topics, so the result does not
depend on how fast replies come. What a batch may cost is known as soon as the topics are:

    requests = sum over topics of ceil(distinct questions / per_batch), one more where a topic is split
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe.models.protocols import Embedder
from vlmprobe.taxonomy.asking import Labeller, Prompt
from vlmprobe.taxonomy.clusters import centroids, nearest
from vlmprobe.taxonomy.operations import ACTIONS, Operation, Skills
from vlmprobe.taxonomy.topics import Topic, checked_label, rows_of, spread

PER_BATCH = 24
MOST_KNOWN = 150  # labels of known skills that are shown

Members = Mapping[str, Mapping[str, str]]
"""Topic -> question -> the primitive for which the question is in the topic."""


@dataclass(frozen=True)
class Batch:
    """Questions of a topic that are looked at together."""

    topic: str
    texts: tuple[str, ...]
    whole: bool
    """Whether the topic's fate is decided by it."""


def skills(
    topics: Sequence[Topic],
    members: Members,
    embedder: Embedder,
    labeller: Labeller,
    *,
    known: Skills | None = None,
    per_batch: int = PER_BATCH,
) -> tuple[Skills, list[Operation]]:
    """What becomes of topics.

    Args:
        topics: of all methods.
        members: the questions of each.
        embedder: of questions, for those of a split topic that nobody looked at yet.
        labeller: who decides.
        known: skills of other topics, which stay as they are; these ones join them.
        per_batch: questions in a request at most.

    Raises:
        Unserved, BudgetSpent: as `Labeller.ask`.
    """
    book = Skills({topic.id: topic.label for topic in topics}) if known is None else _with(known, topics)
    done = [book.apply(each) for each in _equal_labels(book, topics)]
    merged = {each.topic for each in done}
    first = [
        Batch(topic.id, tuple(spread(list(members[topic.id]), per_batch)), topic.id not in merged) for topic in topics
    ]
    done += _asked(first, book, members, labeller)
    rest = []
    for batch in first:
        left = _left(batch, book, members, embedder)
        if len(left) > 1:
            done.append(book.apply(_parted(batch.topic, left, book)))
        rest += _batches(batch.topic, left.values(), per_batch)
    done += _asked(rest, book, members, labeller)
    return book, done


def operation_of(reply: Mapping[str, Any], batch: Batch) -> Operation:
    """What a reply says about a batch.

    Raises:
        ValueError: it is no operation; a number that is none of the batch, or twice.
    """
    action = reply.get("action")
    if action not in ACTIONS:
        raise ValueError(f"action: expected one of {', '.join(ACTIONS)}, got {action!r:.40}")
    labels = reply.get("labels", [] if action == "keep" else None)
    if not isinstance(labels, list):
        raise ValueError(f"labels: expected a list of labels, got {labels!r:.40}")
    named = tuple(checked_label("labels", label) for label in labels)
    left = dict(enumerate(batch.texts, 1))
    out = _texts("out", reply.get("out", []), left)
    parts: tuple[tuple[str, ...], ...] = ()
    if action == "split":
        given = reply.get("parts")
        if not isinstance(given, list):
            raise ValueError(f"parts: expected a list of numbers for each label, got {given!r:.40}")
        parts = tuple(_texts("parts", each, left) for each in given)
        out += tuple(left.values())
    elif action == "merge" and not batch.whole:
        parts = (tuple(left.values()),)
    return Operation(
        topic=batch.topic, action=action, labels=named, whole=batch.whole, questions=len(batch.texts),
        parts=parts, out=out,
    )  # fmt: skip


def defaults(texts: Sequence[str], topic: str, book: Skills, embedder: Embedder) -> list[str]:
    """[n] the skill of questions of a topic that nobody looked at: the topic's, or, of a topic that was split, that of
    the part whose questions are nearest."""
    choices = list(dict.fromkeys(book.root(skill) for skill in book.of_topic[topic]))
    if len(choices) == 1 or not texts:
        return choices[:1] * len(texts)
    known = [(text, book.root(skill)) for (where, text), skill in book.moved.items() if where == topic and skill]
    known = [each for each in known if each[1] in choices]
    if not known:
        return choices[:1] * len(texts)
    labels = [choices.index(skill) for _, skill in known]
    among = centroids(rows_of((text for text, _ in known), embedder), labels)
    return [choices[place] for place in nearest(rows_of(texts, embedder), among)[0]]


def _with(known: Skills, topics: Sequence[Topic]) -> Skills:
    new = Skills({topic.id: topic.label for topic in topics})
    known.label.update(new.label)
    known.of_topic.update(new.of_topic)
    return known


def _equal_labels(book: Skills, topics: Sequence[Topic]) -> list[Operation]:
    """Topics under one label are one skill, whatever method they are of."""
    found = []
    for topic in topics:
        first = book.known(topic.label)
        if first is not None and first != f"s{topic.id[1:]}":
            found.append(Operation(topic=topic.id, action="merge", labels=(topic.label,), skills=(first,), by="rule"))
    return found


def _asked(batches: Sequence[Batch], book: Skills, members: Members, labeller: Labeller) -> list[Operation]:
    """The operations that a round of batches comes to, applied."""
    prompts = [_prompt(batch, book, members, labeller) for batch in batches]

    def read(place: int, reply: dict[str, Any]) -> Operation:
        return book.apply(operation_of(reply, batches[place]))

    return [each for each in labeller.ask("skills", prompts, read) if each is not None]


def _prompt(batch: Batch, book: Skills, members: Members, labeller: Labeller) -> Prompt:
    own = book.root(_skill_of(batch, book))
    shown = [f"{members[batch.topic][text]} | {text}" for text in batch.texts]
    others = [book.label[skill] for skill in book.live() if skill != own][:MOST_KNOWN]
    return Prompt(labeller.prompts.render("skills", label=book.label[own], questions=shown, skills=others))


def _skill_of(batch: Batch, book: Skills) -> str:
    moved = book.moved.get((batch.topic, batch.texts[0])) if batch.texts else None
    return moved or book.of_topic[batch.topic][0]


def _left(first: Batch, book: Skills, members: Members, embedder: Embedder) -> dict[str, list[str]]:
    """Skill -> the questions of a topic that the first batch did not show."""
    shown = set(first.texts)
    left = [text for text in members[first.topic] if text not in shown]
    by_skill: dict[str, list[str]] = {}
    for text, skill in zip(left, defaults(left, first.topic, book, embedder), strict=True):
        by_skill.setdefault(skill, []).append(text)
    return by_skill


def _parted(topic: str, by_skill: Mapping[str, Sequence[str]], book: Skills) -> Operation:
    """That the rest of a topic that was split goes to the nearest parts."""
    return Operation(
        topic=topic, action="split", whole=False, by="rule", skills=tuple(by_skill),
        labels=tuple(book.label[skill] for skill in by_skill), parts=tuple(map(tuple, by_skill.values())),
    )  # fmt: skip


def _batches(topic: str, groups: Iterable[Sequence[str]], per_batch: int) -> list[Batch]:
    return [
        Batch(topic, tuple(texts[place : place + per_batch]), False)
        for texts in groups
        for place in range(0, len(texts), per_batch)
    ]


def _texts(name: str, numbers: Any, left: dict[int, str]) -> tuple[str, ...]:
    """The questions of some numbers, which are taken out of what is left."""
    if not isinstance(numbers, list):
        raise ValueError(f"{name}: expected a list of numbers, got {numbers!r:.40}")
    found = []
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or number not in left:
            raise ValueError(f"{name}: expected numbers of the questions, each once, got {number!r:.40}")
        found.append(left.pop(number))
    return tuple(found)
