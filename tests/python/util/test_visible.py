"""What nobody sees is shown as marks wherever a text is shown, and is no difference between two texts."""

import ast
import io
import sys
import unicodedata
from pathlib import Path

import pytest

from support.run_pages import demo_page
from vlmprobe import _core, cli
from vlmprobe._util import visible as visible_module
from vlmprobe._util.visible import bare, is_blank, say, visible
from vlmprobe.report import FailureCard, comparison, read_summary
from vlmprobe.report.table.format import line, plain
from vlmprobe.report.table.markdown import escaped
from vlmprobe.run.directory import RunDirectory

UNSEEN = {
    "soft hyphen": "\u00ad",
    "grapheme joiner": "\u034f",
    "Arabic letter mark": "\u061c",
    "Hangul filler": "\u3164",
    "Hangul choseong filler": "\u115f",
    "halfwidth Hangul filler": "\uffa0",
    "Mongolian vowel separator": "\u180e",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "word joiner": "\u2060",
    "invisible times": "\u2062",
    "override": "\u202e",
    "isolate": "\u2066",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "variation selector": "\ufe0f",
    "supplementary selector": "\U000e0100",
    "tag": "\U000e0041",
    "byte order mark": "\ufeff",
    "blank Braille": "\u2800",
    "annotation": "\ufff9",
    "escape": "\x1b",
    "C1 control": "\x9b",
    "return": "\r",
    "no character": "\uffff",
}
ALL = "x".join(UNSEEN.values())
KEPT = ("👁️‍🗨️ 🐈‍⬛ 1️⃣ ❤️‍🔥 👩🏽‍💻", "می‌شود", "क्‍ष", "a\tb\nc\r\nd", "é e\u0301 图片 ภาพ كم 한글", "a\u00a0b\u3000c")


def marks(text):
    return "".join(f"⟨U+{ord(each):04X}⟩" for each in text)


@pytest.mark.parametrize("unseen", UNSEEN.values(), ids=UNSEEN)
def test_what_nobody_sees_has_a_mark_wherever_a_text_is_shown(unseen):
    text, shown = f"re{unseen}d", f"re{marks(unseen)}d"
    assert visible(text) == plain(text) == line(text) == shown
    assert escaped(text) == shown
    assert shown in comparison(read_summary({"arms": {text: {"fdr": 0.5}}}))


@pytest.mark.parametrize("text", KEPT)
def test_what_is_seen_stays_and_so_does_what_joins_emoji_and_letters(text):
    assert visible(text) == text


def test_joiners_that_join_nothing_are_marked():
    assert visible("a\u200db 🐈\u200d x \u0645\u200c 3\ufe0f \ufe0f") == (
        "a⟨U+200D⟩b 🐈⟨U+200D⟩ x \u0645⟨U+200C⟩ 3⟨U+FE0F⟩ ⟨U+FE0F⟩"
    )


def test_every_format_character_that_python_knows_is_marked():
    seen = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}  # signs around numbers
    for value in range(sys.maxunicode + 1):
        character = chr(value)
        if unicodedata.category(character) in {"Cf", "Cc", "Zl", "Zp", "Cs"} and character not in "\t\n":
            assert (visible(character) == character) == (value in seen), hex(value)


def test_texts_that_look_alike_are_alike_when_bare():
    assert {bare(f"re{each}d") for each in UNSEEN.values() if each not in "\u2028\u2029\x1b\x9b\r\uffff"} == {"red"}
    assert bare("plain") == "plain" and bare("图片 é") == "图片 é"
    assert is_blank(" \u200b\u3164\n") and is_blank("") and not is_blank("\u200b.")


def test_a_page_holds_no_character_that_nobody_sees_and_stays_what_it_was(tmp_path):
    fields = dict.fromkeys(("family", "question", "answer", "truth", "reason", "source"), ALL)
    card = FailureCard(**fields)
    summary = read_summary({"arms": {ALL: {"fdr": 0.5}}})
    demo_page(tmp_path / "p.html", summary, gallery=[card], title=ALL, notes=[ALL])
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert not set(page) & set(UNSEEN.values())
    assert page.count("x".join(map(marks, UNSEEN.values()))) >= 7
    assert card.question == ALL


def test_a_mark_is_not_cut_in_two():
    for limit in range(1, 30):
        shown = plain("ab\u00ad\u2028cd" * 4, limit)
        assert len(shown) <= limit + 1 and shown.count("⟨") == shown.count("⟩")


def test_progress_and_errors_steer_no_terminal(tmp_path, monkeypatch, capsys):
    with RunDirectory(tmp_path / "run") as folder:
        folder.say(f"picture \x1b]0;owned\x07{ALL}.png")
    assert cli.main(["report", "--run", str(tmp_path / f"no{ALL}where")]) == 2
    shown = capsys.readouterr().err
    assert not set(shown) & (set(UNSEEN.values()) | {"\x07"})
    assert shown.count("⟨U+001B⟩") >= 2


def test_a_name_that_is_no_utf8_and_a_stream_without_the_characters_are_no_error():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="")
    say("caf\udce9 é", to=stream)
    stream.flush()
    assert stream.buffer.getvalue() == rb"caf\u27e8U+DCE9\u27e9 \xe9" + b"\n"


def test_messages_are_printed_without_the_core(monkeypatch, capsys):
    for cached in (visible_module._unseen_class, visible_module._unseen, visible_module._shown):
        cached.cache_clear()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "vlmprobe._core", None)
        patched.delattr("vlmprobe._core", raising=False)
        say("é \u202e\x1b")
    for cached in (visible_module._unseen_class, visible_module._unseen, visible_module._shown):
        cached.cache_clear()
    assert capsys.readouterr().out == "é ⟨U+202E⟩⟨U+001B⟩\n"


def test_nothing_else_in_the_package_prints():
    package = Path(visible_module.__file__).parents[1]
    printing = [
        file.name
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert printing == ["visible.py"]


def test_the_core_says_which_characters_nobody_sees():
    ranges = _core.INVISIBLE
    assert ranges == sorted(ranges) and all(first <= last for first, last in ranges)
    assert all(bare(chr(value)) == "" for first, last in ranges for value in (first, last))
