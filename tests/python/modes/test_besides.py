"""What the folder of a run says of its questions and pictures, and modes that speak of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vlmprobe.data.image import Image
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.modes.asked import Asked, Besides, described
from vlmprobe.modes.besides import PICTURES, besides_of, skills_of, write_tags
from vlmprobe.modes.concepts import Concept
from vlmprobe.modes.confirm import plan
from vlmprobe.modes.labels import NearLabels, of_most
from vlmprobe.modes.rules import Rule
from vlmprobe.taxonomy.asking import Labeller
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.pictures import read, tags_of
from vlmprobe.world.labeller import COUNTS, WordLabeller
from vlmprobe.world.sight import Sight
from vlmprobe.world.source import WorldImages, scene_of

SKILLS = [
    {"id": "s1", "label": "counting", "meta_skill": "", "into": "", "numbers": {}},
    {"id": "s2", "label": "tallying", "meta_skill": "", "into": "s1", "numbers": {}},
]
TAXONOMY = {
    "format": "vlmprobe taxonomy 1", "embedder": "e", "threshold": 0.5, "clustering": {}, "labeller": "x",
    "next_topic": 1, "numbers": {}, "meta_skills": [], "skills": SKILLS, "topics": [], "operations": [],
}  # fmt: skip


def folder_with(tmp_path: Path, rows: list[dict]) -> Path:
    (tmp_path / "taxonomy.json").write_text(json.dumps(TAXONOMY))
    (tmp_path / "taxonomy.questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_a_folder_without_them_says_nothing(tmp_path):
    assert besides_of(tmp_path) == Besides()


def test_skills_are_those_that_half_of_a_texts_questions_need_and_merged_ones_are_one(tmp_path):
    rows = [
        {"question": "how many?", "skills": ["s1"]},
        {"question": "how many?", "skills": ["s2"]},
        {"question": "how many?", "skills": ["other"]},
        {"question": "what?", "skills": None},
    ]
    assert skills_of(folder_with(tmp_path, rows)) == {"how many?": ["counting"], "what?": []}


def test_a_line_that_is_no_question_is_named(tmp_path):
    folder = folder_with(tmp_path, [{"question": "how many?", "skills": ["s1"]}, {"skills": 3}])
    with pytest.raises(ValueError, match=re.escape("taxonomy.questions.jsonl: line 2: expected a question with its")):
        besides_of(folder)


def test_tags_are_added_and_what_a_person_wrote_stays(tmp_path):
    (tmp_path / PICTURES).write_text('{"a": "Two dogs."}')
    write_tags(tmp_path, {"a": ["one thing"], "b": ["dark"]})
    assert besides_of(tmp_path).pictures == {"a": "Two dogs.", "b": ["dark"]}


def test_a_label_that_is_no_list_is_one_label(tmp_path):
    (tmp_path / "labels.json").write_text('{"how many?": "counting", "what color?": ["color", "naming"]}')
    found = besides_of(tmp_path, labels=tmp_path / "labels.json").questions
    assert (found["how many?"], found["what color?"]) == (["counting"], ["color", "naming"])


def test_a_text_that_differs_by_a_word_has_the_labels_of_most_that_do():
    known = {"how many red stars": ["count"], "how many blue stars": ["count", "color"], "is it red": ["color"]}
    near = NearLabels(known)
    assert near["how many green stars"] == ["color", "count"] and near["how many red stars"] == ["count"]
    assert near["where is the dog now"] == [] and near.get("", ()) == []
    assert of_most([("a", ["x"]), ("a", []), ("a", [])]) == {"a": []}


@pytest.mark.parametrize(
    "reply, message",
    [({}, 'list of texts as "tags"'), ({"tags": []}, "at least one tag"), ({"tags": ["x" * 41]}, "a few words")],
)
def test_a_reply_without_tags_is_told_what_is_wrong(reply, message):
    with pytest.raises(ValueError, match=message):
        read(reply)


def test_tags_are_tidied_and_once():
    assert read({"tags": ["Two Dogs.", "two dogs", "dark"]}) == ["dark", "two dogs"]


def test_the_stand_in_counts_what_is_in_a_picture_and_is_wrong_in_a_tenth():
    images, encoder = WorldImages(400, seed=5), EncodedImages()
    labeller = Labeller(WordLabeller(sight=Sight(images, encoder)), images=encoder)
    questions = [Question(i, images[i].key, "what is it ?", None) for i in range(400) for _ in range(2)]
    tags = tags_of(questions, images.__getitem__, labeller)
    assert labeller.asked["pictures"].requests == len(tags) == 400
    right = sum(tags[images[i].key] == [f"{COUNTS[len(scene_of(images[i]).objects)]} objects"] for i in range(400))
    assert 0.85 <= right / 400 <= 0.95


def test_a_stand_in_that_sees_nothing_says_so():
    images = WorldImages(1, seed=5)
    tags = tags_of([Question(0, "a", "what is it ?", None)], images.__getitem__, Labeller(WordLabeller()))
    assert tags == {"a": ["image of something"]}


def test_another_picture_than_the_one_that_was_asked_about_is_skipped():
    image = WorldImages(1, seed=5)[0]
    labeller = Labeller(WordLabeller())
    assert tags_of([Question(0, "a", "?", None, sha256="0" * 64)], lambda i: image, labeller) == {}
    assert labeller.asked["pictures"].skipped == {"picture": 1}


def test_a_rule_about_pictures_is_confirmed_on_these_alone():
    names = [f"picture {i}" for i in range(20)]
    besides = Besides(pictures={name: ["dark" if i % 2 else "bright"] for i, name in enumerate(names)})
    asked = described(
        [Asked(image=i, key=names[i], text="how many red stars are there", valid=True, wrong=i == 1) for i in (0, 1)],
        besides=besides,
    )
    rule = Rule.of([Concept("word", "red")], [Concept("picture", "dark")])
    steps = plan([rule], asked, names, calls=100, seed=0, besides=besides)
    about = {image for step in steps for image in step.texts}
    assert about == set(range(3, 20, 2))


def test_variants_of_a_text_have_its_labels_when_a_rule_is_confirmed():
    besides = Besides(questions=NearLabels({f"how many {c} stars are there": ["counting"] for c in ("red", "blue")}))
    words = [("red", True), ("blue", True), ("red", False)]
    asked = described(
        [
            Asked(image=i, key=str(i), text=f"how many {color} stars are there", valid=True, wrong=wrong)
            for i, (color, wrong) in enumerate(words)
        ]
        + [Asked(image=9, key="9", text="say of many green stars what they are", valid=True, wrong=False)],
        besides=besides,
    )
    steps = plan([Rule.of([Concept("label", "counting")])], asked, [str(i) for i in range(12)], calls=100, seed=0,
                 besides=besides)  # fmt: skip
    texts = {text for step in steps for each in step.texts.values() for text in each}
    assert texts > {"how many red stars are there", "how many blue stars are there"}
    assert "how many green stars are there" in texts and not any(text.startswith("say") for text in texts)


def test_pictures_of_other_kinds_are_no_world():
    with pytest.raises(ValueError, match="embedded world"):
        scene_of(Image(0, "photo", WorldImages(1)[0].pixels))
