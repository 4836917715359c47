"""The stages in a row: from the valid questions of one or more runs to a taxonomy, or to a larger one.

    primitives   each method's questions              -> skills in free words
    topics       each method's words                  -> groups, named
    skills       the topics of all methods            -> kept, renamed, merged, split
    meta-skills  the skills                           -> groups, named
    again        questions that lost a skill          -> theirs once more, which join the topics that are there

A taxonomy that is there grows: what is near one of its topics joins it, what is left makes new topics, and only those
go through the stages that follow. What it says already stays as it is, a person's edits among it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vlmprobe.models.protocols import Embedder, Picture
from vlmprobe.taxonomy.again import named_again, replaced
from vlmprobe.taxonomy.asking import Labeller
from vlmprobe.taxonomy.assign import Assigned, assigned, means, topics_of
from vlmprobe.taxonomy.clusters import method_for
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.document import MetaSkill, Taxonomy
from vlmprobe.taxonomy.meta_skills import meta_skills
from vlmprobe.taxonomy.primitives import Named, primitives
from vlmprobe.taxonomy.skills import skills
from vlmprobe.taxonomy.topics import Topic, topics

THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class Method:
    """The questions that one method asked."""

    name: str
    questions: Sequence[Question]
    """Valid ones."""
    picture: Callable[[int], Picture]
    """Gives the picture of a number."""
    labeller: Labeller
    """Who names the primitives: the same model for all methods, each with the method's own ledger."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a taxonomy is made."""

    clustering: str = "auto"
    """One of `clusters.METHODS`."""
    threshold: float = THRESHOLD
    """Least cosine at which a primitive joins a topic that does not list it."""
    seed: int = 0
    """Of the clustering and of the bootstrap."""


@dataclass(frozen=True)
class Built:
    """A taxonomy and what it says about the questions that it was made of."""

    taxonomy: Taxonomy
    assigned: Mapping[str, Assigned]
    """Method -> the skill of each primitive of its questions."""


def build(
    methods: Sequence[Method],
    labeller: Labeller,
    embedder: Embedder,
    *,
    options: Options = Options(),
    known: Taxonomy | None = None,
) -> Built:
    """Makes a taxonomy, or makes one larger.

    Args:
        methods: with the questions.
        labeller: who names topics, skills and meta-skills.
        embedder: of primitives and questions.
        options: where there is no taxonomy yet.
        known: the taxonomy that grows.

    Raises:
        ValueError: no valid question; another embedder than that of `known`.
        Unserved, BudgetSpent: as `Labeller.ask`.
    """
    _check(methods)
    begun = _begun(labeller, embedder, options) if known is None else known
    named = {each.name: primitives(each.questions, each.picture, each.labeller) for each in methods}
    _check_named(named, methods)
    clustering, new = dict(begun.clustering), list[Topic]()
    for name, words in named.items():
        left = _left(words, begun, embedder, name)
        first = begun.next_topic + len(new)
        new += topics(name, left, embedder, labeller, first=first, clustering=options.clustering, seed=options.seed)
        clustering.setdefault(
            name, method_for(len({each for some in left.values() for each in some}), options.clustering)
        )
    if not begun.topics and not new:
        raise ValueError(
            f"[taxonomy] clustering: expected a topic, got none by {options.clustering}; try agglomerative"
        )
    members = {topic.id: _members(topic, named[topic.method]) for topic in new}
    book, done = skills(new, members, embedder, labeller, known=begun.book())
    grown = replace(
        begun.with_book(book, [*begun.topics, *new]),
        clustering=clustering,
        next_topic=begun.next_topic + len(new),
        operations=(*begun.operations, *done),
    )
    grown = _grouped(grown, labeller)
    return Built(grown, {each.name: _assigned(each, named[each.name], grown, embedder) for each in methods})


def _assigned(method: Method, named: Named, taxonomy: Taxonomy, embedder: Embedder) -> Assigned:
    found = assigned(named, taxonomy, embedder, method.name)
    again = named_again(found, method.questions, method.picture, method.labeller)
    return replaced(found, assigned(again, taxonomy, embedder, method.name))


def _check(methods: Sequence[Method]) -> None:
    if twice := {each.name for each in methods if sum(one.name == each.name for one in methods) > 1}:
        raise ValueError(f"[taxonomy] methods: expected every name once, got {sorted(twice)[0]!r:.40} twice")
    if empty := [each.name for each in methods if not each.questions]:
        raise ValueError(f"[taxonomy] questions: expected at least one valid question of {empty[0]!r:.40}, got none")


def _check_named(named: Mapping[str, Named], methods: Sequence[Method]) -> None:
    for method in methods:
        if not named[method.name]:
            skipped = method.labeller.asked["primitives"].plain()["skipped"]
            causes = ", ".join(f"{cause} {count}" for cause, count in skipped.items())
            raise ValueError(
                f"[taxonomy] primitives: expected skills for at least one question of {method.name!r:.40}, got none "
                f"(given up: {causes})"
            )


def _begun(labeller: Labeller, embedder: Embedder, options: Options) -> Taxonomy:
    return Taxonomy(
        embedder=embedder.identity, threshold=options.threshold, clustering={}, labeller=labeller.identity, next_topic=1
    )


def _left(named: Named, known: Taxonomy, embedder: Embedder, method: str) -> Named:
    """The primitives that are near no topic of a taxonomy."""
    words = (each for some in named.values() for each in some)
    topic_of = topics_of(words, means(known, embedder, method), embedder, known.threshold)
    return {place: tuple(each for each in some if topic_of[each] is None) for place, some in named.items()}


def _members(topic: Topic, named: Named) -> dict[str, str]:
    """Question -> the primitive for which it is in the topic."""
    found: dict[str, str] = {}
    for (_, text), words in named.items():
        for each in words:
            if each in topic.primitives:
                found.setdefault(text, each)
    return found


def _grouped(taxonomy: Taxonomy, labeller: Labeller) -> Taxonomy:
    """With a group for each skill that has none."""
    new = [skill for skill in taxonomy.live if not skill.meta_skill]
    if not new:
        return taxonomy
    groups = {each.label: each for each in taxonomy.meta_skills}
    found = meta_skills([skill.label for skill in new], labeller, groups=list(groups))
    for label in filter(None, found):
        groups.setdefault(label, MetaSkill(id=f"m{_next(groups.values())}", label=label))
    group_of = {skill.id: groups[label].id for skill, label in zip(new, found, strict=True) if label is not None}
    return replace(
        taxonomy,
        skills=tuple(replace(skill, meta_skill=group_of.get(skill.id, skill.meta_skill)) for skill in taxonomy.skills),
        meta_skills=tuple(groups.values()),
    )


def _next(groups: Iterable[MetaSkill]) -> int:
    numbers = [int(each.id[1:]) for each in groups if each.id[1:].isdigit()]
    return 1 + max(numbers, default=0)
