"""Lists of weaknesses that others would make of the same failures.

topics        BERTopic over the questions that failed, with the package's own settings; the largest topic first
skills        the skills of `vlmprobe.taxonomy` over all valid questions, named by the world's stand-in; the one
              that surely fails most first (by the lower end of the interval of its failure rate)
meta-skills   its groups of skills, in the same order
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vlmprobe.data.source import ImageSource
from vlmprobe.models.protocols import Embedder
from vlmprobe.modes.asked import Asked
from vlmprobe.modes.rating import rate_of
from vlmprobe.studies.modesbench.instances import Instance
from vlmprobe.studies.plantedbench.named import held_out
from vlmprobe.taxonomy.asking import Labeller
from vlmprobe.taxonomy.assign import OTHER, Needed, assigned, needed
from vlmprobe.taxonomy.build import Built, Method, build
from vlmprobe.taxonomy.clusters import topics_as_they_come
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.primitives import primitives
from vlmprobe.taxonomy.topics import rows_of
from vlmprobe.world.labeller import WordLabeller

RUN = "run"
Listed = list[set[int]]
"""Numbers of the instances that test each weakness."""


def by_topics(failed: Sequence[str], some: Sequence[Instance], embedder: Embedder) -> Listed:
    """The topics of the questions that failed; see the head of this file.

    Args:
        failed: their texts, one for each failure.
        some: instances; each belongs to one topic or to none.
        embedder: of texts.
    """
    texts = [each.text for each in some]
    own, theirs = topics_as_they_come(failed, rows_of(failed, embedder), texts, rows_of(texts, embedder))
    order = sorted({each for each in own if each >= 0}, key=lambda topic: (-own.count(topic), topic))
    return [{i for i, each in enumerate(theirs) if each == topic} for topic in order]


def by_skills(
    asked: Sequence[Asked], images: ImageSource, some: Sequence[Instance], embedder: Embedder, *,
    built: Built | None = None,
) -> dict[str, Listed]:  # fmt: skip
    """The skills and the meta-skills of a run's questions; see the head of this file.

    Args:
        asked: the questions of the run.
        images: that they were asked about.
        some: instances; each may need several skills.
        embedder: of primitives and questions.
        built: the taxonomy of these questions, with the run's name first, where it is at hand.
    """
    valid = [each for each in asked if each.valid]
    labeller = Labeller(WordLabeller())
    corpus = [Question(each.image, each.key, each.text, each.wrong) for each in valid]
    if built is None:
        method = Method(name=RUN, questions=corpus, picture=images.__getitem__, labeller=labeller)
        built = build([method], labeller, embedder)
    theirs = _needed(some, built, labeller, embedder)
    group_of = {skill.id: skill.meta_skill for skill in built.taxonomy.skills}
    own = needed(next(iter(built.assigned.values())))
    found: dict[str, Listed] = {}
    for name, label_of in (("skills", {each: each for each in group_of}), ("meta-skills", group_of)):
        ours = [_labels(own.get((each.image, each.text), ()), label_of) for each in valid]
        tested = [_labels(theirs.get((each.image, each.text), ()), label_of) for each in some]
        found[name] = [{i for i, each in enumerate(tested) if label in each} for label in _worst_first(valid, ours)]
    return found


def _needed(some: Sequence[Instance], built: Built, labeller: Labeller, embedder: Embedder) -> Needed:
    images = held_out()
    questions = [Question(each.image, str(each.image), each.text, None) for each in some]
    named = primitives(questions, images.__getitem__, labeller)
    return needed(assigned(named, built.taxonomy, embedder))


def _labels(skills: Iterable[str], label_of: Mapping[str, str]) -> set[str]:
    return {label_of[skill] for skill in skills if skill != OTHER}


def _worst_first(valid: Sequence[Asked], labels: Sequence[set[str]]) -> list[str]:
    def order(label: str) -> tuple[float, str]:
        return -rate_of([each for each, own in zip(valid, labels, strict=True) if label in own]).low, label

    return sorted(set().union(*labels), key=order)
