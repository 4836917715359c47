"""What is decided about a topic, as values that are checked, applied in order, written down and applied again.

    keep     the topic is one skill, and its label stands
    rename   it is one skill under another label
    merge    it is a skill that is known under another label
    split    it is several skills, each with its part of the questions

Every topic begins as a skill of its own, `s7` for `t7`. A split adds `s7.1`, `s7.2`, ...; no name is ever used again
for another skill. What a reply says is either a whole operation or an error that says why it is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

ACTIONS = ("keep", "rename", "merge", "split")
MOST_NAMED = 60  # known skills in an error


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One decision about a topic, or about some questions of it."""

    topic: str
    action: str
    """One of ACTIONS."""
    labels: tuple[str, ...]
    """What is kept, the new label, the known skill's, or those of the parts."""
    whole: bool = True
    """Whether it holds for the topic, those of its questions that were not shown among them."""
    questions: int = 0
    """How many were shown."""
    parts: tuple[tuple[str, ...], ...] = ()
    """Of a split: questions of each label. Of a merge that is not of the whole topic: those that it moves."""
    out: tuple[str, ...] = ()
    """Questions that do not need the skill at all."""
    skills: tuple[str, ...] = ()
    """Ids of the labels' skills, filled in when the operation is applied; given, they are used."""
    by: str = "model"
    """`model`, `rule` (equal labels are one skill) or `person`."""


class Skills:
    """Topics and the skills that operations make of them.

    Args:
        labels: topic -> label.
    """

    def __init__(self, labels: dict[str, str]):
        self.label = {f"s{topic[1:]}": label for topic, label in labels.items()}
        """Skill -> label; of merged skills as well."""
        self.into: dict[str, str] = {}
        """Skill -> the one it was merged into."""
        self.of_topic = {topic: [f"s{topic[1:]}"] for topic in labels}
        """Topic -> the skills that its questions need, one for each question."""
        self.moved: dict[tuple[str, str], str | None] = {}
        """(topic, question) -> the skill that it needs, or None for none."""

    def root(self, skill: str) -> str:
        """The skill that a skill was merged into in the end; itself where it was not."""
        while skill in self.into:
            skill = self.into[skill]
        return skill

    def live(self) -> list[str]:
        """The skills that some topic has, in the order in which they came up."""
        used = {self.root(skill) for skills in self.of_topic.values() for skill in skills}
        used |= {self.root(skill) for skill in self.moved.values() if skill is not None}
        return [skill for skill in self.label if skill in used]

    def known(self, label: str) -> str | None:
        """The skill under a label, in whatever case, or the one that a skill of this label was merged into; None where
        there is none."""
        wanted = label.casefold()
        found = [skill for skill in (*self.live(), *self.into) if self.label[skill].casefold() == wanted]
        return self.root(found[0]) if found else None

    def apply(self, operation: Operation) -> Operation:
        """Does what an operation says.

        Returns:
            The operation with the ids of its skills.
        Raises:
            ValueError: it fits neither the topic nor what is known; nothing has changed then.
        """
        if operation.topic not in self.of_topic:
            raise ValueError(f"topic: expected a known one, got {operation.topic!r:.40}")
        if operation.action not in ACTIONS:
            raise ValueError(f"action: expected one of {', '.join(ACTIONS)}, got {operation.action!r:.40}")
        applied: Operation = getattr(self, f"_{operation.action}")(operation)
        self.moved.update(((operation.topic, text), None) for text in operation.out)
        return applied

    def _own(self, operation: Operation) -> str:
        """The one skill of a topic, for what holds for the whole of it."""
        own = {self.root(skill) for skill in self.of_topic[operation.topic]}
        if len(own) > 1:
            raise ValueError(f"{operation.action}: expected a topic of one skill, got one that was split")
        return own.pop()

    def _keep(self, operation: Operation) -> Operation:
        if not operation.whole:
            return operation
        own = self._own(operation)
        return replace(operation, labels=(self.label[own],), skills=(own,))

    def _rename(self, operation: Operation) -> Operation:
        [label], own = _labels(operation, 1), self._own(operation)
        if not operation.whole:
            raise ValueError("rename: the skill has its name already; choose keep, merge or split")
        if self.known(label) not in (None, own):
            raise ValueError(f"rename: expected a label that is new, got {label!r}, which is known: merge instead")
        self.label[own] = label
        return replace(operation, skills=(own,))

    def _merge(self, operation: Operation) -> Operation:
        [label] = _labels(operation, 1)
        into = self.root(operation.skills[0]) if operation.skills else self.known(label)
        if into is None:
            known = ", ".join(self.label[skill] for skill in self.live()[:MOST_NAMED])
            raise ValueError(f"merge: expected the label of a known skill, got {label!r:.60}; known are now: {known}")
        if operation.whole:
            own = self._own(operation)
            if own == into:
                raise ValueError(f"merge: expected another skill, got {label!r}, which the topic is already: a cycle")
            self.into[own] = into
        for text in operation.parts[0] if operation.parts else ():
            self.moved[operation.topic, text] = into
        return replace(operation, skills=(into,))

    def _split(self, operation: Operation) -> Operation:
        labels = _labels(operation, 2)
        if len(operation.parts) != len(labels) or not all(operation.parts):
            raise ValueError(f"split: expected a part for each of {len(labels)} labels, got {len(operation.parts)}")
        if operation.whole:
            self._own(operation)
        given: Iterable[str | None] = operation.skills or [None] * len(labels)
        skills = tuple(self._part(operation.topic, *each) for each in zip(labels, given, strict=True))
        if operation.whole:
            self.of_topic[operation.topic] = list(dict.fromkeys(skills))
        for skill, texts in zip(skills, operation.parts, strict=True):
            self.moved.update(((operation.topic, text), skill) for text in texts)
        return replace(operation, skills=skills)

    def _part(self, topic: str, label: str, given: str | None) -> str:
        """The skill with the label: the given one, or a known one, or a new one."""
        skill = given or self.known(label)
        if skill is None:
            number = 1 + sum(each.startswith(f"s{topic[1:]}.") for each in self.label)
            skill = f"s{topic[1:]}.{number}"
        self.label.setdefault(skill, label)
        return self.root(skill)


def replayed(labels: dict[str, str], operations: Iterable[Operation]) -> Skills:
    """The skills that operations make of topics.

    Raises:
        ValueError: an operation that does not fit; names its place.
    """
    skills = Skills(labels)
    for place, operation in enumerate(operations):
        try:
            skills.apply(operation)
        except ValueError as error:
            raise ValueError(f"[taxonomy] operations[{place}]: {error}") from None
    return skills


def _labels(operation: Operation, least: int) -> Sequence[str]:
    """As many labels as the action has, each once."""
    found = len({label.casefold() for label in operation.labels})
    if found != len(operation.labels) or found < least or (least == 1 and found > 1):
        wanted = "one label" if least == 1 else "two labels or more that differ"
        raise ValueError(f"{operation.action}: expected {wanted}, got {', '.join(operation.labels) or 'none'}")
    return operation.labels
