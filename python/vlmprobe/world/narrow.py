"""The stage that makes a narrow questioner: the broad one of its size learns what to ask most, and to follow hints.

Both are taught at once, mixed inside each row: batches of one hint each taught nothing. A description of the scene is
among the lessons, so that the model goes on learning to see what it asks about.
"""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path

import torch

from vlmprobe.world import lessons, teaching, tiny
from vlmprobe.world.hinted_lessons import MOST_QUESTIONS, Bag, hinted_lesson
from vlmprobe.world.lessons import Batch

SEED = teaching.TRAIN_SEED + 2
PICTURES, LESSONS = 16, 8
ROUNDS = {
    "large": {"first-round": 1e-3, "second-round": 7e-4},
    "medium": {"first-round": 1e-3, "second-round": 7e-4, "third-round": 7e-4},
}
"""The learning rates of the rounds; the smaller model sees worse, and takes one more."""


def hinted_asking(processor, before: int, step: int) -> Batch:
    """The packed lessons of a step that comes after `before` others; seed and number alone decide them."""
    scenes = teaching.scenes_of(SEED, before + step, PICTURES)
    own = []
    for i, scene in enumerate(scenes):
        index = (before + step) * PICTURES + i
        bag, draw = Bag(scene, SEED, index), random.Random(f"{SEED} {index}")
        asked = [hinted_lesson(bag, draw.randint(1, MOST_QUESTIONS), draw) for _ in range(LESSONS)]
        own.append([lessons.describe_lesson(scene), *asked])
    return lessons.collate(processor, scenes, own)


def build_narrow(
    size: str, broad: Path, work: Path, out: Path, steps: int, seed: int, report: teaching.Progress
) -> None:
    """Teaches a copy of the broad questioner, whose vocabulary grows by the words of hints: `steps` in a first round,
    half as many in each of the others, which starts from what the one before saved and has lessons of its own."""
    torch.manual_seed(seed)
    processor, taught, given = tiny.processor(), broad, 0
    rounds = ROUNDS[size]
    for name, peak in rounds.items():
        count = steps if taught == broad else steps // 2
        end = work / name
        if not end.exists():
            model = tiny.load_to_teach(taught)
            if taught == broad:
                model.resize_token_embeddings(len(tiny.vocabulary()), mean_resizing=False)
            make = partial(hinted_asking, processor, given)
            teaching.teach(model, make, count, peak, work, report, name)
            teaching.save(model, processor, end)
        taught, given = end, given + count
    shutil.copytree(taught, out, dirs_exist_ok=True)
    report(stage="result", model=out.name)
