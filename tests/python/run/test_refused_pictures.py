"""A picture that can be read and that the processor refuses is left out of a run and named, like a damaged one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image as PILImage

from support.tiny_runs import dump, whole_state
from vlmprobe.data import FolderImages, in_order
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.methods.sft import Row, SFTOptions
from vlmprobe.methods.sft import train as learn
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.models.replies import Criteria, Judgement
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.directory import RunDirectory
from vlmprobe.run.probe import probe
from vlmprobe.run.trainer import Trainer
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.world import tiny

SIZES = {"a.png": (64, 64), "post.png": (4, 1200), "rule.png": (1200, 4), "z.png": (32, 90)}


class Judges:
    identity = "judges"

    def validity(self, images, questions):
        return [Criteria(grammatical=True, atomic=True, grounded=True, objective=True) for _ in questions]

    def correctness(self, images, questions, answers):
        return [Judgement(correct=len(question) % 2 == 0) for question in questions]


def photos(folder: Path, names=tuple(SIZES)) -> FolderImages:
    folder.mkdir(parents=True)
    for name in names:
        PILImage.new("RGB", SIZES[name], "gray").save(folder / name)
    return FolderImages(folder)


def questioner() -> Questioner:
    return Questioner(tiny.load("questioner"), max_new_tokens=16)


def train(folder: Path, images: FolderImages, *stops: int) -> None:
    for steps in stops:
        with RunDirectory(folder, resume=True, quiet=True) as directory:
            options = TrainerOptions(k=1, group_size=2, images_per_step=2, seed=3, learning_rate=1e-3)
            answerer = HFAnswerer(tiny.load("answerer"))
            trainer = Trainer(
                questioner(), answerer, Judges(), HashedNgramEmbedder(), images, options=options,
                ledger=directory.ledger, run="run",
            )  # fmt: skip
            directory.ledger.begin(RunRecord(id="run"))
            directory.load(trainer)
            directory.train(trainer, steps, checkpoint_every=1)


def test_training_goes_on_without_pictures_that_the_processor_refuses_and_is_resumed_alike(tmp_path):
    images = photos(tmp_path / "photos")
    train(tmp_path / "whole", images, 4)
    train(tmp_path / "parts", images, 2, 4)
    with Ledger(tmp_path / "whole" / "ledger.sqlite", read_only=True) as ledger:
        out = [json.loads(event.text) for event in ledger.events("run", kind="picture")]
        asked = {image.key for i in range(4) for image in ledger.step("run", "train", i).images}
    assert {each["key"] for each in out} == {"post.png", "rule.png"} and asked == {"a.png", "z.png"}
    assert all(each["reason"].startswith(f"{each['key']}: the picture: absolute aspect ratio") for each in out)
    ends = [whole_state(tmp_path / name / "checkpoints" / "step-00000004") for name in ("whole", "parts")]
    assert ends[0] == ends[1]
    assert dump(tmp_path / "whole" / "ledger.sqlite") == dump(tmp_path / "parts" / "ledger.sqlite")


def test_an_evaluation_leaves_them_out_as_well(tmp_path):
    images, asked = photos(tmp_path / "photos"), set()
    with pytest.warns(UserWarning, match=r"1 pictures left out: rule\.png: the picture: absolute aspect ratio"):
        tally = probe(
            questioner(), HFAnswerer(tiny.load("answerer")), Judges(), lambda step: [images[0], images[2]],
            calls=2, k=1, seed=0, max_slots=4,
            on_round=lambda round: asked.update(image.id for image in round.pictures),
        )  # fmt: skip
    assert asked == {0} and tally.left_out > 0


@pytest.mark.parametrize("source", [lambda images: in_order(images, 1), lambda images: lambda step: list(images)])
def test_where_the_processor_refuses_all_the_run_stops_and_names_some(tmp_path, source):
    images = photos(tmp_path / "photos", ("post.png", "rule.png"))
    with pytest.raises(ValueError, match=r"\[probe\] images: none of 2 can be read: post\.png: the picture: absolute"):
        probe(questioner(), HFAnswerer(tiny.load("answerer")), Judges(), source(images), calls=2, k=1, seed=0)


def test_rows_about_a_refused_picture_are_not_learned_and_said(tmp_path):
    images = photos(tmp_path / "photos")
    said = "<response_1> is there a circle ? </response_1>"
    rows = [Row(images[i], said) for i in range(4)]
    with pytest.warns(UserWarning, match=r"^\[sft\.train\] 2 pictures left out: post\.png: the picture: absolute"):
        losses = learn(questioner(), rows, SFTOptions(k=1, batch=2))
    assert len(losses) == 1
    with pytest.warns(UserWarning), pytest.raises(ValueError, match=r"^\[sft\.train\] rows: expected at least one"):
        learn(questioner(), rows[1:3], SFTOptions(k=1))
