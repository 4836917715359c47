"""Taxonomies of questions about pictures of the world, whose families and attributes are known."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from vlmprobe._native import core
from vlmprobe.models.embedder import shared_embedder
from vlmprobe.models.model import Model, ModelReply, Request, Status
from vlmprobe.taxonomy.asking import Labeller
from vlmprobe.taxonomy.assign import OTHER, needed
from vlmprobe.taxonomy.build import Built, Method, Options, build
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.document import Taxonomy
from vlmprobe.taxonomy.primitives import Named
from vlmprobe.world.labeller import WordLabeller
from vlmprobe.world.source import WorldImages, scene_of

PER_PICTURE = 6


@lru_cache
def pool(seed: int = 11) -> WorldImages:
    return WorldImages(2000, seed=seed)


def questions(count: int, *, seed: int = 3) -> list[Question]:
    """Uniform valid questions, some about each picture; every fifth one was answered wrongly."""
    found = []
    for place in range(count):
        image = pool()[place // PER_PICTURE]
        text = core.world.sample_question(scene_of(image), seed, place).question
        found.append(Question(image.id, image.key, text, place % 5 == 0))
    return found


def family(question: Question) -> str:
    """By the world's own program."""
    program = core.world.judge(scene_of(pool()[question.image]), question.text).program
    assert program is not None
    return program.family


def labels(question: Question) -> set[str]:
    """The family, and the attributes of the world's own skills."""
    program = core.world.judge(scene_of(pool()[question.image]), question.text).program
    assert program is not None
    return {program.family, *(skill.split(" x ")[1] for skill in program.skills if " x " in skill)}


def method(asked: Sequence[Question], model: Model, name: str = "a", **more: Any) -> Method:
    return Method(name=name, questions=asked, picture=pool().__getitem__, labeller=Labeller(model, **more))


def made(
    asked: Sequence[Question], model: Model | None = None, *, embedder: str = "minilm", name: str = "a",
    known: Taxonomy | None = None, options: Options | None = None,
) -> Built:  # fmt: skip
    """A taxonomy of one method's questions, by the world's stand-in where no other model is given."""
    one = method(asked, model or WordLabeller(), name)
    return build([one], one.labeller, shared_embedder(embedder), options=options or Options(), known=known)


def first_skills(built: Built, asked: Sequence[Question], name: str = "a") -> list[str]:
    """[N] the skill that each question turns on."""
    own = needed(built.assigned[name])
    return [(*own[each.image, each.text], OTHER)[0] for each in asked]


def shuffled(name: Callable[..., Named]) -> Callable[..., Named]:
    """A stage that names primitives, broken: those of each question are another one's."""

    def broken(*args: Any, **more: Any) -> Named:
        named = name(*args, **more)
        words = list(named.values())
        random.Random(1).shuffle(words)
        return dict(zip(named, words, strict=True))

    return broken


class Saying:
    """A model whose every reply is planned: `plan(stage, text, request)` gives a text, or None for what the world's
    stand-in says; a `Status` is a reply that failed."""

    def __init__(self, plan: Callable[[str, str, Request], str | Status | None]):
        self.identity, self._plan, self._inner = "planned", plan, WordLabeller()
        self.requests: list[tuple[str, Request]] = []

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        return [self._one(each) for each in requests]

    def _one(self, request: Request) -> ModelReply:
        stage = stage_of(request.messages[0].text)
        self.requests.append((stage, request))
        said = self._plan(stage, request.messages[0].text, request)
        if isinstance(said, Status):
            return ModelReply(status=said, error="as planned")
        return self._inner.reply([request])[0] if said is None else ModelReply(status=Status.OK, text=said)


def stage_of(text: str) -> str:
    """By the tags of the package's prompts."""
    marks = {"<label>": "skills", "<groups>": "meta-skills", "<skills>": "topics", "<named_before>": "again"}
    return next((stage for mark, stage in marks.items() if mark in text), "primitives")
