"""A fine-tuning set is what TRL's SFTTrainer takes: read as docs/suites.md says, and a step is made with it."""

from __future__ import annotations

import math

import pytest

from support.suites import item
from vlmprobe.exports.train import write_train
from vlmprobe.world import WorldImages, sample_question, tiny

pytestmark = [pytest.mark.peers("trl"), pytest.mark.usefixtures("one_thread")]


def test_sft_trainer_makes_a_step_with_it(tmp_path):
    from datasets import Image, Sequence, load_dataset
    from trl import SFTConfig, SFTTrainer

    images = list(WorldImages(4, seed=900))
    asked = [(image, sample_question(image.meta, 7, image.id, 0)) for image in images]
    rows = [item(image, each.question, reference=each.answer) for image, each in asked]
    write_train(tmp_path / "train.jsonl", rows, {image.sha256: image for image in images})
    file, cache = str(tmp_path / "train.jsonl"), str(tmp_path / "cache")
    read = load_dataset("json", data_files=file, split="train", cache_dir=cache)
    read = read.map(lambda row: {"images": [str(tmp_path / each) for each in row["images"]]})
    read = read.cast_column("images", Sequence(Image()))
    assert [row["messages"][1]["content"][0]["text"] for row in read] == [each.answer for _, each in asked]
    assert read[0]["images"][0].convert("RGB").tobytes() == images[0].pixels.tobytes()
    config = SFTConfig(
        output_dir=str(tmp_path / "out"), max_steps=1, per_device_train_batch_size=4, use_cpu=True, report_to=[],
        save_strategy="no", max_length=None, bf16=False, gradient_checkpointing=False,
    )  # fmt: skip
    model = tiny.load_to_teach(tiny.WEIGHTS / "answerer-novice-small")
    trainer = SFTTrainer(model, args=config, train_dataset=read, processing_class=tiny.processor())
    assert math.isfinite(trainer.train().training_loss)
