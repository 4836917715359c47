"""The narrow questioners: how they are taught, and that they ask as docs/world.md says."""

from __future__ import annotations

import pytest
import torch

from vlmprobe import Questioner, world
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world import measure, narrow, tiny
from vlmprobe.world.source import WorldImages

PICTURES = [WorldImages(100, seed=61)[i] for i in range(100)]
NARROW = [name for name in tiny.MODELS if name.startswith("questioner") and "broad" not in name]


def number(said: str) -> float:
    return float(said.split()[0])


@pytest.mark.parametrize("name", tiny.MODELS)
def test_a_checkpoint_knows_the_beginning_of_the_vocabulary(name):
    tokenizer = VisionLanguageModel.load(tiny.WEIGHTS / name).processor.tokenizer
    known = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    assert known == tiny.vocabulary()[: len(known)]
    assert len(known) in (171, 187)  # before and after the words of hints


def test_the_lessons_of_a_step_depend_on_the_step_alone():
    processor = tiny.processor()
    first, again, other = (narrow.hinted_asking(processor, *at) for at in ((0, 3), (3, 0), (0, 4)))
    assert torch.equal(first.ids, again.ids) and torch.equal(first.labels, again.labels)
    assert first.ids.shape != other.ids.shape or not torch.equal(first.ids, other.ids)
    kinds = {kind for tags in first.tags for _, kind in tags}
    assert {"none", "pair", "word", "skill", "describe"} <= kinds  # mixed within the step


def test_every_slot_is_a_row_and_is_judged():
    rows = measure.asked(Questioner(tiny.load(NARROW[0])), PICTURES[:3], k=3, group_size=2, seed=1)
    assert [row.image.key for row in rows] == [image.key for image in PICTURES[:3] for _ in range(6)]
    assert all(row.valid == world.judge(row.image.meta, row.text).valid for row in rows)


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_questioner_asks_few_kinds_and_mostly_valid_ones(name):
    broad = name.replace("questioner", "questioner-broad")
    figures = {
        model: measure.zero_shot(measure.asked(Questioner(tiny.load(model)), PICTURES, k=2, group_size=2, seed=2))
        for model in (name, broad)
    }
    assert number(figures[name]["qvr"]) > 0.75  # docs/world.md has the figures; n = 400, standard error 2 points
    assert number(figures[name]["ld"]) < number(figures[broad]["ld"]) - 0.15
    assert number(figures[name]["families"]) < 9 < number(figures[broad]["families"])


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_questioner_asks_about_what_it_is_told_to(name):
    questioner = Questioner(tiny.load(name))
    plain = measure.asked(questioner, PICTURES, k=2, group_size=1, seed=4)
    for kind, least in (("word", 0.75), ("common pair", 0.4), ("skill", 0.85)):
        figures = measure.obedience(questioner, PICTURES, kind, plain, seed=4)
        assert number(figures["followed"]) > least, kind  # n about 250, standard error below 4 points
        assert number(figures["unasked"]) < 0.2, kind
