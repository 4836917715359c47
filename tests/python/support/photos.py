"""Folders of pictures, and models that answer and judge anything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from vlmprobe.data import (
    in_order,
)
from vlmprobe.ledger import RunRecord
from vlmprobe.models.replies import Criteria, Judgement, Reply
from vlmprobe.policy.asker import Completions, tagged
from vlmprobe.run.pictures import of_run
from vlmprobe.run.probe import probe

STEPS = 4


def photos(folder: Path, count: int = 6, *, cut: tuple[int, ...] = ()) -> Path:
    folder.mkdir(parents=True)
    draw = np.random.default_rng(count)
    for i in range(count):
        picture = PILImage.fromarray(draw.integers(0, 256, (32, 32, 3), dtype=np.uint8))
        picture.save(folder / f"{i}.jpg")
        if i in cut:
            (folder / f"{i}.jpg").write_bytes((folder / f"{i}.jpg").read_bytes()[:600])
    return folder


class Asks:
    """One question about each picture; none about those that it refuses."""

    identity = "asks"

    def __init__(self, refuses=()):
        self.refuses, self.seen = refuses, []

    def ask(self, images, *, k, group_size=1, seed, step):
        self.seen += [(step, image.key) for image in images]
        said = [[] if image.key in self.refuses else [tagged([f"what is {image.key} ?"] * k)] for image in images]
        return Completions.of(said)


class Answers:
    identity = "answers"

    def answer(self, images, questions):
        return [Reply(text="two") for _ in questions]


class Judges:
    identity = "judges"

    def validity(self, images, questions):
        return [Criteria(grammatical=True, atomic=True, grounded=True, objective=True) for _ in questions]

    def correctness(self, images, questions, answers):
        return [Judgement(correct=len(question) % 2 == 0) for question in questions]


def asked(ledger, images, asker=None, *, calls=4, per_step=2, resumed=False):
    ledger.begin(RunRecord(id="run"))
    return probe(
        asker or Asks(), Answers(), Judges(), in_order(of_run(images, ledger, "run"), per_step),
        calls=calls, k=1, seed=0, ledger=ledger, resumed=resumed,
    )  # fmt: skip


def keys_asked(ledger):
    return [failure.image_key for failure in ledger.failures()]


def left_out(ledger, run="run"):
    return [json.loads(event.text) for event in ledger.events(run, kind="picture")]
