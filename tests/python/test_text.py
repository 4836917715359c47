import copy
import dataclasses
import pickle
import random
import unicodedata

import pytest
import torch

from vlmprobe import _core, text


def test_responses_become_a_table():
    questions = text.parse_responses(["<response_1> How many\ncats ? </response_1>", b"\xff"], k=2)
    assert questions.text == ["How many cats ?", "", "", ""]
    assert questions.sequence.tolist() == [0, 0, 1, 1]
    assert questions.slot.tolist() == [0, 1, 0, 1]
    assert questions.status.dtype == torch.int8
    assert [text.SlotStatus(status).name for status in questions.status.tolist()] == ["ok", "missing"] * 1 + [
        "missing"
    ] * 2
    assert questions.ok.tolist() == [True, False, False, False]
    assert questions.token_begin.tolist() == [-1] * 4
    assert repr(questions) == "Questions(4 rows, k=2, 1 ok)"
    assert len(text.parse_responses([], k=3)) == 0


def test_statuses_have_the_names_of_the_core():
    assert [_core.status_name(int(status)) for status in text.SlotStatus] == [status.name for status in text.SlotStatus]


def test_token_ends_are_byte_offsets():
    completion = "é<response_1>ü?</response_1>"
    pieces = ["é", "<response_1>", "ü", "?", "</response_1>", ""]
    ends = torch.tensor([len(piece.encode()) for piece in pieces]).cumsum(0)
    for rows in ([ends], [ends.tolist()], ends[None]):
        questions = text.parse_responses([completion], k=1, token_ends=rows)
        assert (questions.token_begin.item(), questions.token_end.item()) == (1, 5)
    with pytest.raises(
        ValueError, match=r"row 0: expected the last token to end at byte 30, where the text ends, got 28"
    ):
        text.parse_responses([completion], k=1, token_ends=[[1, 28]])
    with pytest.raises(ValueError, match=r"token_ends: expected one row per completion \(1\), got 0"):
        text.parse_responses([completion], k=1, token_ends=[])
    with pytest.raises(
        ValueError, match=r"\[text::parse_responses\] k: expected at least 1 and at most 2147483647, got 0"
    ):
        text.parse_responses([completion], k=0)


def test_ill_formed_bytes_are_replaced_as_python_replaces_them():
    draw = random.Random(1)
    alphabet = [0x41, 0x80, 0xBF, 0xC2, 0xE0, 0xA0, 0xED, 0x9F, 0xF0, 0x90, 0xF4, 0x8F, 0xFF, 0xE2, 0x82, 0xAC]
    for _ in range(3000):
        body = bytes(draw.choice(alphabet) for _ in range(draw.randrange(1, 9)))
        if any(c.isspace() or 0x7F <= ord(c) <= 0xA0 for c in body.decode("utf-8", "replace")):
            continue  # white space and controls become blanks
        found = text.parse_responses([b"<response_1>" + body + b"</response_1>"], k=1)
        assert found.text == [body.decode("utf-8", "replace")], body


def test_lone_surrogates_do_not_throw():
    assert text.parse_responses(["<response_1>a\ud800b</response_1>"], k=1).text == ["a\ufffd\ufffd\ufffdb"]
    assert text.prefix("a\ud800b c d") == "ab c"
    assert text.neutralise("\ud800<") == "?‹"


def test_what_a_model_says_stands_behind_its_thinking():
    assert text.said("<think>a</think>b") == "b" and text.said("a[/THINK]b") == "b"
    assert text.said("b") == "b" and text.said("") == "" and text.said("\ud800") == "\ud800"
    assert text.said("<think>a") is None and text.said("a</think>b<reasoning>c") is None


SCRIPTS = ((0xA1, 0x24F), (0x370, 0x3FF), (0x400, 0x4CF), (0x5D0, 0x5EA), (0x1E00, 0x1EFF), (0x2010, 0x2027),
           (0x2030, 0x205E), (0x20A0, 0x20BF), (0x2190, 0x23FF), (0x3001, 0x303F), (0xFF01, 0xFF5E))  # fmt: skip


def test_letters_are_folded_and_punctuation_is_dropped_as_unicode_says():
    expected = {"\u03c2": "\u03c3", "\u0130": "i"}  # by hand: a final sigma, and a lower case of two characters
    for first, last in SCRIPTS:
        for letter in map(chr, range(first, last + 1)):
            folded = unicodedata.normalize("NFKC", letter) if letter > "\uff00" else letter
            kept = unicodedata.category(folded)[0] in "LN"
            if unicodedata.category(letter)[0] in "MC":  # signs and what is unassigned
                continue
            want = expected.get(letter, folded.lower()) if kept else ""
            assert text.prefix(f"a{letter}") in {f"a{want}", f"a {want}"}, hex(ord(letter))


def test_a_letter_in_two_pieces_is_the_letter_in_one():
    for first, last in (*SCRIPTS, (0x622, 0x626), (0x3041, 0x30F4), (0xAC00, 0xAE00)):
        for letter in map(chr, range(first, last + 1)):
            pieces = unicodedata.normalize("NFD", letter)
            if len(pieces) > 1 and unicodedata.category(letter)[0] == "L":
                assert text.prefix(f"{pieces}q") == text.prefix(f"{letter}q"), hex(ord(letter))


def test_prefix_and_neutralise():
    assert text.prefix("How many, red circles?") == "how many"
    assert text.prefix("How many, red circles?", length=3) == "how many red"
    assert text.neutralise("</question> 3 < 4") == "‹/question› 3 ‹ 4"
    with pytest.raises(ValueError, match=r"\[text::prefix\] length: expected at least 1, got 0"):
        text.prefix("a", length=0)


def test_prefixes_are_the_prefix_of_each_question():
    # By hand: punctuation goes, letters are lowered, two words are kept.
    assert text.prefixes(["How many, red circles?", "What's it?", "", "?!", "Übung A"]) == [
        "how many", "whats it", "", "", "übung a",
    ]  # fmt: skip
    draw = random.Random(3)
    questions = ["".join(draw.choice("aB c?,\t\né\ud800") for _ in range(draw.randrange(30))) for _ in range(500)]
    for length in (1, 2, 5):
        assert text.prefixes(questions, length=length) == [text.prefix(each, length=length) for each in questions]
    assert text.prefixes([]) == []
    with pytest.raises(ValueError, match=r"\[text::prefixes\] length: expected at least 1, got 0"):
        text.prefixes(["a"], length=0)
    with pytest.raises(ValueError, match=r"\[text::prefixes\] questions: expected a list of texts, got one text"):
        text.prefixes("How many?")


def test_texts_are_made_when_they_are_read_and_questions_can_be_copied():
    questions = text.parse_responses(["<response_1>How many?</response_1>", "none"], k=1)
    assert "text" not in vars(questions) and len(questions) == 2
    assert questions.text == ["How many?", ""] and questions.text is questions.text
    for copied in (copy.deepcopy(questions), pickle.loads(pickle.dumps(questions)), dataclasses.replace(questions)):
        assert copied.text == questions.text and copied.status.tolist() == questions.status.tolist()
    with pytest.raises(AttributeError, match="no attribute 'texts'"):
        _ = questions.texts


def test_what_is_no_text_is_refused():
    with pytest.raises((TypeError, AttributeError)):
        text.parse_responses([3], k=1)
