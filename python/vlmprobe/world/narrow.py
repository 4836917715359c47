"""The stage that makes a narrow questioner: the broad one of its size learns what to ask most, and to follow hints.

Both are taught at once, mixed inside each row: batches of one hint each taught nothing. A description of the scene is
among the lessons, so that the model goes on learning to see what it asks about.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch

from vlmprobe.world import lessons, teaching, tiny
from vlmprobe.world.hinted_lessons import MOST_QUESTIONS, Bag, hinted_lesson
from vlmprobe.world.lessons import Batch

SEED = teaching.TRAIN_SEED + 2
PICTURES, LESSONS = 16, 8
PEAKS = 1e-3, 7e-4  # learning rates of the two rounds


def hinted_asking(processor, step: int) -> Batch:
    """The packed lessons of a step, which seed and step alone decide."""
    scenes = teaching.scenes_of(SEED, step, PICTURES)
    own = []
    for i, scene in enumerate(scenes):
        index = step * PICTURES + i
        bag, draw = Bag(scene, SEED, index), random.Random(f"{SEED} {index}")
        asked = [hinted_lesson(bag, draw.randint(1, MOST_QUESTIONS), draw) for _ in range(LESSONS)]
        own.append([lessons.describe_lesson(scene), *asked])
    return lessons.collate(processor, scenes, own)


def build_narrow(broad: Path, work: Path, out: Path, steps: int, seed: int, report: teaching.Progress) -> None:
    """Teaches a copy of the broad questioner, whose vocabulary grows by the words of hints: `steps` in a first round,
    half as many in a second one, whose lessons are other ones and which starts from what the first one saved."""
    torch.manual_seed(seed)
    processor, first = tiny.processor(), work / "first-round"
    if not first.exists():
        model = tiny.load_to_teach(broad)
        model.resize_token_embeddings(len(tiny.vocabulary()), mean_resizing=False)
        teaching.teach(model, lambda step: hinted_asking(processor, step), steps, PEAKS[0], work, report, "hinted")
        teaching.save(model, processor, first)
    model = tiny.load_to_teach(first)
    teaching.teach(
        model,
        lambda step: hinted_asking(processor, steps + step),
        steps // 2,
        PEAKS[1],
        work,
        report,
        "second-round",
    )
    teaching.save(model, processor, out)
    report(stage="result", model=out.name)
