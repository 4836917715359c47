"""What a questioner of the world asks, without hints and with them: `python -m vlmprobe.world.measure --model NAME`.

Each line that it prints has numbers with their n and 95 % interval, over pictures that no lesson showed.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vlmprobe import metrics
from vlmprobe._native import core
from vlmprobe.data.image import Image
from vlmprobe.policy.preface import Beginnings
from vlmprobe.policy.questioner import Questioner
from vlmprobe.text import parse_responses
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.world import hinted_lessons, hints, tiny
from vlmprobe.world.hinted_lessons import Bag, Hint
from vlmprobe.world.source import HELD_OUT_SEED, WorldImages, scene_of
from vlmprobe.world.teaching import Progress
from vlmprobe.world.verifiers import OracleVerifier

COMMON = 0.0025  # of uniform questions: pairs from here on count as common, those below as rare
KINDS = ("word", "common pair", "rare pair", "skill", "skill and word", "not", "word, not")


@dataclass(frozen=True)
class Question:
    """One that was asked, or a slot without one."""

    image: Image
    text: str
    """Empty where the slot holds none."""
    valid: bool
    family: str | None
    """Of its program, where it has one."""


@dataclass(frozen=True)
class EachItsOwn:
    """A preface that asks about each picture with a prompt of its own."""

    prompts: Sequence[str]
    identity: str = "a hint for each picture"

    def calls_at_most(self, *, k: int) -> int:
        return 0

    def __call__(self, questioner: object, images: Sequence[object], *, k: int, seed: int, step: int) -> Beginnings:
        return Beginnings(list(self.prompts), [""] * len(images), [0] * len(images))


def asked(questioner: Questioner, images: Sequence[Image], *, k: int, group_size: int, seed: int) -> list[Question]:
    """The I x G x k slots of a questioner's completions, judged."""
    with torch.no_grad():
        said = questioner.ask(images, k=k, group_size=group_size, seed=seed, step=0)
    parsed = parse_responses(said.texts, k=k)
    rows = []
    for row, text in zip(parsed.sequence.tolist(), parsed.text, strict=True):
        image = images[int(said.group[row])]
        judged = core.world.judge(scene_of(image), text)
        family = judged.program.family if judged.program is not None else None
        rows.append(Question(image, text, judged.valid, family))
    return rows


def zero_shot(questions: Sequence[Question]) -> dict[str, str]:
    """The paper's figures for what was asked without a hint: QVR and LD, and how many families that amounts to."""
    valid = [question for question in questions if question.valid]
    images = [question.image.key for question in valid]
    texts = [question.text for question in valid]
    families = [str(question.family) for question in valid]
    number = metrics.effective_number
    bounds = 1.0, float(len(core.world.families))
    return {
        "qvr": str(metrics.rate([q.valid for q in questions], cluster=[q.image.key for q in questions])),
        "ld": str(metrics.prefix_entropy_at(texts, len(texts), cluster=images, normalized=True)),
        "families": str(metrics.at_equal_n(number, families, len(families), cluster=images, bounds=bounds)),
    }


def failure_rate(answerer: str, questions: Sequence[Question]) -> str:
    """FDR: how often an answerer of `tiny.MODELS` answers a valid question wrongly."""
    valid = [question for question in questions if question.valid]
    images, texts = [question.image for question in valid], [question.text for question in valid]
    replies = HFAnswerer(tiny.load(answerer)).answer(images, texts)
    verdicts = OracleVerifier().correctness(images, texts, [reply.text or "" for reply in replies])
    wrong = [None if verdict.correct is None else not verdict.correct for verdict in verdicts]
    return str(metrics.rate(wrong, cluster=[image.key for image in images]))


def hint_of(kind: str, bag: Bag, draw: random.Random) -> Hint:
    """A hint of one of `KINDS`; a pair is drawn uniformly from the common or the rare ones, whatever the picture."""
    if not kind.endswith("pair"):
        return hinted_lessons.draw_hint(kind, bag, draw)
    shares = hints.term_shares()
    wanted = kind == "common pair"
    return draw.choice([pair for pair in hints.hint_pairs() if (shares[pair] >= COMMON) == wanted]), ()


def obedience(
    questioner: Questioner, images: Sequence[Image], kind: str, plain: Sequence[Question], *, seed: int
) -> dict[str, str]:
    """How often a valid question follows a hint of the kind, each picture with one of its own; and the share of valid
    ones. `unasked` is how often `plain`, what was asked about these pictures without a hint, would have followed it."""
    draw = random.Random(f"{seed} {kind}")
    given = [hint_of(kind, Bag(scene_of(image), seed, i), draw) for i, image in enumerate(images)]
    prompts = [hints.hinted_prompt(2, about=about, not_about=not_about) for about, not_about in given]
    hint = dict(zip((image.key for image in images), given, strict=True))

    def followed(questions: Sequence[Question]) -> str:
        valid = [question for question in questions if question.valid]
        does = []
        for question in valid:
            about, not_about = hint[question.image.key]
            does.append(hints.follows(question.text, question.family, about=about, not_about=not_about))
        return str(metrics.rate(does, cluster=[question.image.key for question in valid]))

    hinted = asked(questioner.with_preface(EachItsOwn(prompts)), images, k=2, group_size=2, seed=seed)
    qvr = metrics.rate([q.valid for q in hinted], cluster=[q.image.key for q in hinted])
    return {"followed": followed(hinted), "unasked": followed(plain), "qvr": str(qvr)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, choices=[name for name in tiny.MODELS if "questioner" in name])
    parser.add_argument("--answerers", nargs="*", default=[name for name in tiny.MODELS if "answerer" in name])
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS, help="kinds of hints; none for none")
    parser.add_argument("--pictures", type=int, default=425, help="each is asked about twice, two questions at a time")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED, help="of pictures and sampling")
    parser.add_argument("--log", type=Path, help="also appends the lines to this file")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    report = Progress(arguments.log)
    pool = WorldImages(arguments.pictures, seed=arguments.seed)
    images = [pool[i] for i in range(len(pool))]
    questioner = Questioner(tiny.load(arguments.model))
    questions = asked(questioner, images, k=2, group_size=2, seed=arguments.seed)
    report(stage="zero-shot", model=arguments.model, seed=arguments.seed, **zero_shot(questions))
    for answerer in arguments.answerers:
        report(stage="fdr", model=arguments.model, answerer=answerer, fdr=failure_rate(answerer, questions))
    for kind in arguments.kinds:
        report(
            stage="hints",
            model=arguments.model,
            kind=kind,
            **obedience(questioner, images, kind, questions, seed=arguments.seed),
        )


if __name__ == "__main__":
    main()
