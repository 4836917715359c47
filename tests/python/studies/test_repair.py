"""Repair at the smallest size: what is taught is learned, and each number is of the questions that it says."""

from __future__ import annotations

import json

import pytest

from support.frozen import ledger_of
from vlmprobe.exports.references import TRUTH, references
from vlmprobe.exports.suite import Item
from vlmprobe.exports.train import write_train
from vlmprobe.studies.repair import PARTS, Settings, _by_mode, _uniform
from vlmprobe.world import WorldImages, judge, sample_question, tiny
from vlmprobe.world.repair import answerer, fine_tune, read_set
from vlmprobe.world.source import scene_named, scene_of

pytestmark = pytest.mark.usefixtures("one_thread")
NOVICE = "answerer-novice-small"


def test_what_is_taught_is_learned(tmp_path):
    """Questions that a novice fails on; after a few steps it answers most of these, and its log and set are as they
    were written."""
    images = WorldImages(24, seed=900)
    asked = [(image, sample_question(image.meta, 7, image.id, part)) for image in images for part in range(6)]
    before = answerer(tiny.WEIGHTS / NOVICE)
    said = before.answer([image for image, _ in asked], [each.question for _, each in asked])
    failing = [(image, each) for (image, each), reply in zip(asked, said, strict=True) if reply.text != each.answer]
    items = [
        Item(id=f"{i}", picture=f"pictures/{image.id}.png", sha256=image.sha256, key=image.key, question=each.question,
             answer="", reason="", reference=each.answer, reference_by=TRUTH, modes=[], by_people=False)
        for i, (image, each) in enumerate(failing)
    ]  # fmt: skip
    count = write_train(tmp_path / "train.jsonl", items, {image.sha256: image for image in images})
    taught = read_set(tmp_path / "train.jsonl")
    assert count == len(failing) == sum(map(len, taught.values())) > 20
    fine_tune(NOVICE, taught, tmp_path / "repaired", steps=25, rate=1e-2)
    after = answerer(tmp_path / "repaired")
    said = after.answer([image for image, _ in failing], [each.question for _, each in failing])
    right = sum(reply.text == each.answer for (_, each), reply in zip(failing, said, strict=True))
    assert right > 0.6 * len(failing)


def test_a_line_that_is_none_is_named(tmp_path):
    (tmp_path / "train.jsonl").write_text(json.dumps({"messages": [], "key": "scene-1-1"}) + "\n")
    with pytest.raises(ValueError, match=r"\[repair\] .*train.jsonl.*: expected messages and a key"):
        read_set(tmp_path / "train.jsonl")


def test_a_scene_is_found_by_its_name():
    image = WorldImages(3, seed=41, first=5)[2]
    assert scene_named(image.key).id == scene_of(image).id and image.key == "scene-41-7"
    for name in ("photo.png", "scene-1", f"scene-{2**64}-0", "scene-1-2-3"):
        with pytest.raises(ValueError, match=r"\[scene_named\] key: expected the name of a picture"):
            scene_named(name)


def test_the_uniform_questions_are_valid_and_once_each():
    images = WorldImages(12, seed=3)
    found = list(_uniform(images, Settings()))
    assert len({each.pair for each in found}) == len(found) > 36 and PARTS == ("modes", "uniform")
    assert all(judge(scene_of(images[each.image]), each.text).valid for each in found)
    assert list(_by_mode([], [], images, Settings())) == []


def test_a_right_answer_is_the_truth_or_anothers_that_was_judged_right(tmp_path):
    said = {("a", "1"): False, ("a", "2"): False}
    other = {**said, ("a", "2"): True}
    with ledger_of(tmp_path / "a.sqlite", said) as mine, ledger_of(tmp_path / "b.sqlite", other) as theirs:
        found = references(mine, [theirs])
        assert {pair: (each.text, each.by) for pair, each in found.items()} == {("a", "2"): ("two", "tiny@1")}
        assert references(mine) == {}
    with ledger_of(tmp_path / "c.sqlite", said) as mine, ledger_of(tmp_path / "d.sqlite", said) as other:
        other._db.execute('UPDATE runs SET identities = \'{"verifier": "lenient"}\'')
        with pytest.raises(ValueError, match=r"\[references\] .*: expected verdicts of 'oracle@1', got 'lenient'"):
            references(mine, [other])


def test_a_fine_tuning_set_without_right_answers_says_where_to_get_them(tmp_path):
    with pytest.raises(ValueError, match=r"\[export\] --train: .*vlmprobe compare RUN --answerer"):
        write_train(tmp_path / "train.jsonl", [], {})
