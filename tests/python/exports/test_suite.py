"""A suite is written once, and what is read is what was written."""

from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree

import pytest

from support.suites import HOSTILE, QUESTIONS, images, items, suite
from vlmprobe.exports.evaluate import Evaluated
from vlmprobe.exports.junit import write_junit
from vlmprobe.exports.suite import freeze, read_suite
from vlmprobe.run.frozen import Outcome


def outcome(wrong, answer="4", failure=None):
    return Outcome(wrong=wrong, answer=answer, reason=HOSTILE, failure=failure)


def test_what_is_read_is_what_was_written(tmp_path):
    made = suite(tmp_path / "cups")
    again = read_suite(tmp_path / "cups")
    assert list(again.items) == items() and again.about == made.about and len(again.items) == again.about["items"] == 4
    assert again.image(0) == images()[0].__class__(0, again.items[0].picture, images()[0].pixels)
    assert again.image(3).sha256 == images()[1].sha256
    assert all(again.canary in line for line in (tmp_path / "cups" / "items.jsonl").read_text().splitlines())
    assert again.about["license"] == "cc0-1.0" and again.about["provenance"]["models"]["answerer"] == "A"


def test_the_canary_and_the_hash_are_those_of_the_content_alone(tmp_path):
    first, second = suite(tmp_path / "a"), suite(tmp_path / "b", created="2027-01-01", name="other")
    assert (first.canary, first.about["content_sha256"]) == (second.canary, second.about["content_sha256"])
    fewer = freeze(tmp_path / "c", items()[:3], {image.sha256: image for image in images()}, first.about)
    assert fewer.canary != first.canary and fewer.about["content_sha256"] != first.about["content_sha256"]


def test_the_same_suite_may_be_written_again_and_another_may_not(tmp_path):
    made = suite(tmp_path / "cups")
    assert suite(tmp_path / "cups", created="2030-01-01").about == made.about
    with pytest.raises(ValueError, match="another suite; a suite is never changed"):
        freeze(tmp_path / "cups", items()[:2], {image.sha256: image for image in images()}, made.about)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="expected a new or empty folder, got something else"):
        suite(tmp_path / "mine")


def changed_item(folder):
    text = (folder / "items.jsonl").read_text()
    (folder / "items.jsonl").write_text(text.replace("how many red cups", "how many blue cups"))


def changed_picture(folder):
    first, second = sorted((folder / "pictures").iterdir())
    shutil.copy(first, second)


def newer(folder):
    said = json.loads((folder / "suite.json").read_text())
    (folder / "suite.json").write_text(json.dumps({**said, "format": 99}))


def outside(folder):
    said = json.loads((folder / "suite.json").read_text())
    (folder / "suite.json").write_text(json.dumps({**said, "name": "../../outside"}))


def elsewhere(folder):
    text = (folder / "items.jsonl").read_text()
    (folder / "items.jsonl").write_text(text.replace("pictures/", "../pictures/"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (outside, "name: expected letters, digits"),
        (elsewhere, "picture: expected a name in pictures, got '../pictures/"),
        (changed_item, "a suite is never changed; write another one"),
        (changed_picture, "expected pixels"),
        (newer, "format: expected at most 1, got 99"),
        (lambda folder: (folder / "suite.json").unlink(), "expected a folder with suite.json, got none"),
        (
            lambda folder: (folder / "items.jsonl").write_text('{"id": 1}\n'),
            "expected an item, got none with 'picture'",
        ),
    ],
)
def test_what_was_changed_is_refused(tmp_path, change, message):
    suite(tmp_path / "cups")
    change(tmp_path / "cups")
    with pytest.raises(ValueError, match=message):
        read = read_suite(tmp_path / "cups")
        [read.image(i) for i in range(len(read.items))]


def test_without_a_failure_there_is_no_suite(tmp_path):
    with pytest.raises(ValueError, match="expected at least one confirmed failure, got none"):
        freeze(tmp_path / "none", [], {}, {})


def test_junit_has_what_is_wrong_as_failures_and_what_is_unknown_as_errors(tmp_path):
    made = suite(tmp_path / "cups")
    rows = [outcome(True, HOSTILE), outcome(False), outcome(None, None, "timeout"), outcome(True)]
    found = Evaluated(suite=made, outcomes=rows)
    write_junit(found, tmp_path / "junit.xml")
    top = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (top.get("tests"), top.get("failures"), top.get("errors")) == ("4", "2", "1")
    cases = {case.get("name"): [child.tag for child in case] for case in top.iter("testcase")}
    assert cases == {
        item.id: tags for item, tags in zip(items(), [["failure"], [], ["error"], ["failure"]], strict=True)
    }
    assert [each.get("name") for each in top] == ["questions with “red”", "questions of no mode"]
    assert QUESTIONS[0] in next(top.iter("failure")).text


def test_what_is_unknown_is_in_no_rate(tmp_path):
    rows = [outcome(True), outcome(False), outcome(None, None, "timeout"), outcome(True)]
    found = Evaluated(suite=suite(tmp_path / "cups"), outcomes=rows)
    assert (found.rate.value, found.rate.n, found.rate.n_unscored, found.unscored) == (1 / 3, 3, 1, 0.25)
    by = found.by_mode
    assert (by["aaaa0000"].value, by["aaaa0000"].n, by["none"].n) == (0.5, 2, 1)
