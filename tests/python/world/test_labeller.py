"""The stand-in for a model that labels: what it may see, how often it is wrong, and that it heeds what it is shown."""

from __future__ import annotations

import json
import random

import pytest

from vlmprobe import metrics
from vlmprobe._native import core
from vlmprobe.models.model import EncodedImage, Message, Model, Request
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.taxonomy.primitives import read as read_primitives
from vlmprobe.world.labeller import NAMES, WordLabeller, meaning, read

PROMPTS = PromptFiles.load()


def said(text: str, *, labeller: WordLabeller | None = None) -> dict:
    [reply] = (labeller or WordLabeller(wrong=0.0)).reply([Request(messages=[Message(role="user", text=text)])])
    return json.loads(reply.text.partition("\n")[2])


def sampled(count: int) -> list[tuple[str, str]]:
    """(question, family)"""
    found = []
    for i in range(count):
        program = core.world.sample_question(core.world.sample_scene(7, i), 1, i)
        found.append((program.question, program.program.family))
    return found


def decided(label: str, questions: list[str], known: list[str]) -> dict:
    return said(PROMPTS.render("skills", label=label, questions=questions, skills=known))


def test_it_is_a_model_and_has_a_name_that_says_its_noise():
    assert isinstance(WordLabeller(), Model) and "wrong=0.1, seed=0" in WordLabeller().identity
    with pytest.raises(ValueError, match=r"\[WordLabeller\] wrong: expected a share in \[0, 1\], got 2"):
        WordLabeller(wrong=2)


def test_each_skill_has_at_least_five_names_and_no_name_is_of_two():
    assert set(core.world.families) == set(NAMES)
    assert all(len(set(names)) >= 5 for names in NAMES.values())
    assert len({name for names in NAMES.values() for name in names}) == sum(map(len, NAMES.values()))


def test_it_reads_the_family_from_the_words():
    asked = sampled(400)
    right = [read(question)[0] == family for question, family in asked]
    assert sum(right) >= 0.98 * len(right)


def test_one_in_ten_primitives_names_what_the_question_does_not_need():
    asked = [question for question, _ in sampled(600)]
    wrong, cluster = [], []
    for place, question in enumerate(asked):
        text = PROMPTS.render("primitives", questions=[question])
        [names] = read_primitives(said(text, labeller=WordLabeller()), 1)
        wrong += [meaning(name) not in read(question) for name in names]
        cluster += [place] * len(names)
    found = metrics.rate(wrong, cluster=cluster)
    assert found.n > 1200 and found.low < 0.1 < found.high and found.high - found.low < 0.05


def test_the_words_differ_from_picture_to_picture_and_are_the_same_each_time():
    text = PROMPTS.render("primitives", questions=["how many small stars are there ?"] * 3)
    first, second = (EncodedImage(data=name) for name in (b"a", b"b"))
    shown = [Request(messages=[Message(role="user", text=text, images=[image])]) for image in (first, first, second)]
    replies = [each.text for each in WordLabeller().reply(shown)]
    assert replies[0] == replies[1] != replies[2]


def test_a_topic_is_named_as_most_of_its_primitives():
    text = PROMPTS.render("topic_label", primitives=["counting", "object counting", "color naming"], questions=["q"])
    assert meaning(said(text)["label"]) == "count"


def test_it_keeps_renames_merges_and_splits_by_the_words():
    count = ["counting | how many red stars are there ?"] * 3
    color = ["color naming | what color is the star ?"] * 3
    assert decided("counting", count, ["color naming"])["action"] == "keep"
    assert decided("color naming", count, [])["action"] == "rename"
    merged = decided("color naming", count, ["object counting"])
    assert (merged["action"], merged["labels"]) == ("merge", ["object counting"])
    split = decided("counting", [*count, *color], [])
    assert split["action"] == "split" and sorted(map(tuple, split["parts"])) == [(1, 2, 3), (4, 5, 6)]
    stray = decided("counting", [*count, "counting | what color is the star ?"], [])
    assert (stray["action"], stray["out"]) == ("keep", [4])


def test_each_skill_is_in_one_group():
    labels = [names[0] for names in NAMES.values()] + ["something new"]
    random.Random(0).shuffle(labels)
    groups = said(PROMPTS.render("meta_skills", skills=labels, groups=[]))
    assert sorted(number for numbers in groups.values() for number in numbers) == list(range(1, len(labels) + 1))
    assert len(groups) == 6
