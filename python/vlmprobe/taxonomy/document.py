"""A taxonomy as one JSON file that a person can read, edit and apply to another run.

    skills       id, label, meta_skill;  into: the skill that it was merged into
    topics       id, method, label, skills, primitives (text -> count), moved (question -> skill, or null for none)
    meta_skills  id, label
    operations   what was decided, in order

Topics and skills are what is applied. The operations are their history: `replay` makes the skills of the topics from
them again. Everything is kept by ids, so a label may be changed at will, and a skill goes into another one by `into`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from vlmprobe._util import html
from vlmprobe._util.files import write_text
from vlmprobe._util.json import plain, read_object
from vlmprobe.taxonomy.operations import Operation, Skills, replayed
from vlmprobe.taxonomy.topics import Topic

FORMAT = "vlmprobe taxonomy 1"
FILE = "taxonomy.json"
"""Of a taxonomy, in the folder of its first run."""
QUESTIONS = "taxonomy.questions.jsonl"
"""Of a run's questions with their skills, in its folder."""
SHOWN = 50  # skills in a notebook
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True)
class Skill:
    """What questions need."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    id: str
    label: str
    meta_skill: str = ""
    """Id of its group; empty: in none."""
    into: str = ""
    """Id of the skill that it was merged into; empty: it stands by itself."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """What was counted of it, for people and the page; nothing is decided by it."""


@dataclass(frozen=True, kw_only=True)
class MetaSkill:
    """A group of skills."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    id: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Placed(Topic):
    """A topic with the skills that its questions need."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    skills: tuple[str, ...]
    """Ids; of several, a question needs the one whose questions are nearest."""
    moved: Mapping[str, str | None] = field(default_factory=dict)
    """Question -> the skill that it needs in the topic's place; None for none."""


@dataclass(frozen=True, kw_only=True)
class Taxonomy:
    """The content of the file."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    format: str = FORMAT
    embedder: str
    """Identity of the embedder of the primitives."""
    threshold: float
    """Least cosine between a primitive and the mean of a topic's primitives at which it joins the topic."""
    clustering: Mapping[str, str]
    """Method -> how its primitives were clustered."""
    labeller: str
    """Identity of the model that named all this."""
    next_topic: int
    """Number of the next topic; none is used twice."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """What was counted when it was made, for people and the page; nothing is decided by it."""
    meta_skills: tuple[MetaSkill, ...] = ()
    skills: tuple[Skill, ...] = ()
    topics: tuple[Placed, ...] = ()
    operations: tuple[Operation, ...] = ()

    def __repr__(self) -> str:
        return f"Taxonomy({len(self.topics)} topics, {len(self.live)} skills, {len(self.meta_skills)} meta-skills)"

    def _repr_html_(self) -> str:
        """The skills by their groups, with how many topics each has."""
        groups = {each.id: each.label for each in self.meta_skills}
        topics = Counter(skill for each in self.topics for skill in each.skills)
        rows = [(groups.get(each.meta_skill, ""), each.label, topics[each.id], each.id) for each in self.live]
        rows.sort(key=lambda row: (not row[0], row[0], -row[2], row[1]))
        more = [html.text(f"{len(rows)} skills, of which {SHOWN} are shown")] if len(rows) > SHOWN else []
        return html.titled(repr(self), html.table(("meta-skill", "skill", "topics", "id"), rows[:SHOWN]), *more)

    @property
    def live(self) -> list[Skill]:
        """The skills that were not merged into another, and that some topic has."""
        used = set(self.book().live())
        return [skill for skill in self.skills if skill.id in used]

    def book(self) -> Skills:
        """The skills as operations work on them."""
        book = Skills({each.id: each.label for each in self.topics})
        book.label = {skill.id: skill.label for skill in self.skills}
        book.into = {skill.id: skill.into for skill in self.skills if skill.into}
        book.of_topic = {each.id: list(each.skills) for each in self.topics}
        book.moved = {(each.id, text): to for each in self.topics for text, to in each.moved.items()}
        return book

    def with_book(self, book: Skills, topics: Sequence[Topic]) -> Taxonomy:
        """The same with other topics and skills; skills that are there already keep their groups."""
        known = {skill.id: skill for skill in self.skills}
        moved: dict[str, dict[str, str | None]] = {}
        for (topic, text), to in book.moved.items():
            moved.setdefault(topic, {})[text] = to
        return replace(
            self,
            topics=tuple(
                Placed(
                    id=each.id, method=each.method, label=each.label, primitives=each.primitives,
                    skills=tuple(book.of_topic[each.id]), moved=moved.get(each.id, {}),
                )
                for each in topics
            ),
            skills=tuple(
                replace(known.get(id, Skill(id=id, label=label)), label=label, into=book.into.get(id, ""))
                for id, label in book.label.items()
            ),
        )  # fmt: skip

    def replay(self) -> Taxonomy:
        """The same with the skills that the operations make of the topics.

        Raises:
            ValueError: an operation that does not fit; names its place.
        """
        return self.with_book(replayed({each.id: each.label for each in self.topics}, self.operations), self.topics)

    def write(self, path: str | Path) -> None:
        """Writes the file, whole or not at all."""
        write_text(Path(path), json.dumps(plain(asdict(self)), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_taxonomy(path: str | Path) -> Taxonomy:
    """A taxonomy from its file.

    Raises:
        ValueError: no such file, not a taxonomy, an id that is unknown or there twice, skills that are merged in a
            circle; names the field.
    """
    content, where = read_object("taxonomy", path, what="a taxonomy.json"), Path(path).name
    if content.get("format") != FORMAT:
        raise ValueError(f"[taxonomy] {where}: format: expected {FORMAT!r}, got {content.get('format')!r:.40}")
    try:
        found = _ADAPTER.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"[taxonomy] {where}: {place}: {first['msg']}, got {first['input']!r:.60}") from None
    _check_ids(where, found)
    return found


def _check_ids(where: str, found: Taxonomy) -> None:
    for name, ids in (("topics", found.topics), ("skills", found.skills), ("meta_skills", found.meta_skills)):
        twice = [id for id, count in Counter(each.id for each in ids).items() if count > 1]
        if twice:
            raise ValueError(f"[taxonomy] {where}: {name}: expected every id once, got {twice[0]!r:.40} twice")
    skills, groups = {skill.id: skill for skill in found.skills}, {each.id for each in found.meta_skills}
    for topic in found.topics:
        _check_known(f"{where}: topic {topic.id}: skills", topic.skills, skills)
        _check_known(f"{where}: topic {topic.id}: moved", filter(None, topic.moved.values()), skills)
        if not topic.skills or not topic.primitives:
            raise ValueError(f"[taxonomy] {where}: topic {topic.id}: expected a skill and a primitive, got none")
    _check_known(f"{where}: skills: meta_skill", (each.meta_skill for each in found.skills if each.meta_skill), groups)
    _check_known(f"{where}: skills: into", (each.into for each in found.skills if each.into), skills)
    for skill in found.skills:
        seen, each = {skill.id}, skill
        while each.into:
            each = skills[each.into]
            if each.id in seen:
                raise ValueError(f"[taxonomy] {where}: skill {skill.id}: into: expected no circle, got one")
            seen.add(each.id)


def _check_known(where: str, ids: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(ids) - set(known)):
        raise ValueError(f"[taxonomy] {where}: expected known ids, got {unknown[0]!r:.40}")


_ADAPTER = TypeAdapter(Taxonomy)
