"""Operations by hand: what each does, what each refuses, and that they can be applied again."""

from __future__ import annotations

import pytest

from vlmprobe.taxonomy.operations import Operation, Skills, replayed
from vlmprobe.taxonomy.skills import Batch, operation_of

TOPICS = {"t1": "counting", "t2": "tallying", "t3": "colors", "t4": "colors and shapes"}


def op(topic: str, action: str, *labels: str, **more) -> Operation:
    return Operation(topic=topic, action=action, labels=labels, **more)


def test_each_topic_begins_as_a_skill_of_its_own():
    book = Skills(TOPICS)
    assert book.live() == ["s1", "s2", "s3", "s4"] and book.of_topic["t2"] == ["s2"]


def test_keep_rename_merge_and_split():
    book = Skills(TOPICS)
    assert book.apply(op("t1", "keep", "anything")).labels == ("counting",)
    book.apply(op("t3", "rename", "telling colors apart"))
    assert book.label["s3"] == "telling colors apart"
    assert book.apply(op("t2", "merge", "Counting")).skills == ("s1",)
    assert book.root("s2") == "s1" and book.live() == ["s1", "s3", "s4"]
    split = op(
        "t4", "split", "telling colors apart", "telling shapes apart", parts=(("hue ?",), ("form ?",)), out=("why ?",)
    )
    assert book.apply(split).skills == ("s3", "s4.1")  # a known one, and a new one
    assert book.live() == ["s1", "s3", "s4.1"] and book.of_topic["t4"] == ["s3", "s4.1"]
    assert book.moved == {("t4", "hue ?"): "s3", ("t4", "form ?"): "s4.1", ("t4", "why ?"): None}


def test_a_merge_of_some_questions_moves_these_alone():
    book = Skills(TOPICS)
    book.apply(op("t1", "merge", "colors", whole=False, parts=(("hue ?",),), out=("why ?",)))
    assert book.moved == {("t1", "hue ?"): "s3", ("t1", "why ?"): None} and book.root("s1") == "s1"


def test_merges_follow_each_other_and_never_go_in_a_circle():
    book = Skills(TOPICS)
    book.apply(op("t1", "merge", "tallying"))
    book.apply(op("t2", "merge", "colors"))
    assert {book.root(each) for each in ("s1", "s2", "s3")} == {"s3"}
    for label in ("counting", "tallying", "colors"):  # two of them are known under what they were merged into
        with pytest.raises(ValueError, match="a cycle"):
            book.apply(op("t3", "merge", label))
    assert book.live() == ["s3", "s4"]


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (op("t9", "keep", "x"), "topic: expected a known one, got 't9'"),
        (op("t1", "drop", "x"), "action: expected one of keep, rename, merge, split, got 'drop'"),
        (op("t1", "rename"), "rename: expected one label, got none"),
        (op("t1", "rename", "a", "b"), "rename: expected one label, got a, b"),
        (op("t1", "rename", "TALLYING"), "which is known: merge instead"),
        (op("t1", "rename", "new", whole=False), "the skill has its name already"),
        (op("t1", "merge", "mind reading"), "expected the label of a known skill, got 'mind reading'"),
        (op("t1", "merge", "counting"), "a cycle"),
        (op("t1", "split", "a", parts=(("q",),)), "split: expected two labels or more"),
        (op("t1", "split", "a", "A", parts=(("q",), ("r",))), "split: expected two labels or more that differ"),
        (op("t1", "split", "a", "b", parts=(("q",),)), "expected a part for each of 2 labels, got 1"),
        (op("t1", "split", "a", "b", parts=(("q",), ())), "expected a part for each of 2 labels"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(operation, why):
    book = Skills(TOPICS)
    before = vars(Skills(TOPICS))
    with pytest.raises(ValueError, match=why):
        book.apply(operation)
    assert vars(book) == before


def test_a_topic_that_was_split_is_split_merged_and_renamed_no_more_as_a_whole():
    book = Skills(TOPICS)
    book.apply(op("t4", "split", "colors", "shapes", parts=(("q",), ("r",))))
    for action, labels in (("merge", ["counting"]), ("rename", ["new"]), ("keep", ["colors"])):
        with pytest.raises(ValueError, match="expected a topic of one skill, got one that was split"):
            book.apply(op("t4", action, *labels))


def test_operations_are_applied_again_to_the_same_skills_also_where_one_is_taken_out():
    book, done = Skills(TOPICS), []
    for each in (
        op("t2", "merge", "counting"),
        op("t3", "split", "warm colors", "cold colors", parts=(("q",), ("r",))),
        op("t3", "split", "pale colors", "cold colors", parts=(("u",), ("v",)), whole=False),
    ):
        done.append(book.apply(each))
    assert vars(replayed(TOPICS, done)) == vars(book)
    assert done[2].skills == ("s3.3", "s3.2")
    without = replayed(TOPICS, [done[0], done[2]])
    assert without.moved == {("t3", "u"): "s3.3", ("t3", "v"): "s3.2"}  # names stay with what they name
    with pytest.raises(ValueError, match=r"\[taxonomy\] operations\[1\]: topic: expected a known one"):
        replayed({"t2": "a", "t1": "b"}, [op("t2", "keep"), op("t7", "keep")])


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ({}, "action: expected one of"),
        ({"action": "rename"}, "labels: expected a list of labels"),
        ({"action": "keep", "labels": [3]}, "labels: expected a label of a few words"),
        ({"action": "keep", "labels": ["a"], "out": [9]}, "out: expected numbers of the questions, each once, got 9"),
        ({"action": "keep", "labels": ["a"], "out": [1, 1]}, "each once, got 1"),
        ({"action": "keep", "labels": ["a"], "out": ["1"]}, "each once, got '1'"),
        ({"action": "keep", "labels": ["a"], "out": 1}, "out: expected a list of numbers"),
        ({"action": "split", "labels": ["a", "b"]}, "parts: expected a list of numbers for each label"),
        ({"action": "split", "labels": ["a", "b"], "parts": [[1], [1]]}, "parts: expected numbers of the questions"),
    ],
)
def test_a_reply_that_is_no_operation_says_what_it_lacks(reply, why):
    with pytest.raises(ValueError, match=why):
        operation_of(reply, Batch("t1", ("q", "r"), True))
