"""Files of JSON and lists that editors and strangers broke: each fault is one sentence that names file and field."""

from __future__ import annotations

import json
import shutil

import pytest

from vlmprobe._util.json import MOST_LEVELS, parse, read_json, read_lines
from vlmprobe.ledger import Ledger
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.review.people import import_labels
from vlmprobe.studies.arms import check_same
from vlmprobe.studies.config import parse as parse_config
from vlmprobe.studies.config import read as read_config
from vlmprobe.world.answerers import load_faults

# What a file of JSON may not hold, whatever it is for: content -> what is said.
CONTENTS = {
    "empty": (b"", r"expected JSON \("),
    "cut": (b'{"a": [1, ', r"expected JSON \("),
    "binary": (b"\x80\x02}q\x00.", "expected UTF-8, got other bytes at 0"),
    "utf16": ('{"a": 1}'.encode("utf-16") + b"x", "expected UTF-8, got other bytes at "),
    "deep list": (b"[" * 100_000, f"expected brackets in at most {MOST_LEVELS} levels, got more"),
    "deep object": (b'{"a":' * 900 + b"1" + b"}" * 900, f"expected brackets in at most {MOST_LEVELS} levels"),
    "twice": (b'{"seed": 1, "seed": 2}', "seed: expected one, got two"),
    "infinity": (b'{"a": Infinity}', "expected finite numbers, got Infinity"),
    "nan": (b'{"a": [NaN]}', "expected finite numbers, got NaN"),
    "overflow": (b'{"a": 1e400}', "expected finite numbers, got 1e400"),
    "huge": (b'{"a": ' + b"9" * 5000 + b"}", "expected whole numbers of at most 64 bits, got 9999"),
}


def prompts(file):
    (file.parent / "prompts").mkdir(exist_ok=True)
    shutil.copy(file, file.parent / "prompts" / "answerer.txt")
    PromptFiles.load(file.parent / "prompts")


READERS = {"faults": load_faults, "config": lambda file: parse_config(read_config(file))}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_no_plain_json_is_refused_wherever_json_is_read(content, reader, tmp_path):
    file = tmp_path / "some.json"
    text, message = CONTENTS[content]
    file.write_bytes(text)
    with pytest.raises(ValueError, match=rf"^\[\w+\] .*some\.json: {message}"):
        READERS[reader](file)


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_in_the_place_of_a_file_is_named(reader, tmp_path):
    (tmp_path / "some.json").mkdir()
    with pytest.raises((ValueError, IsADirectoryError), match=r"some\.json"):
        READERS[reader](tmp_path / "some.json")


ROLE = {"model": "m", "endpoint": ["http://127.0.0.1:1/v1"]}

CONFIG = {
    "images": "a", "evaluation_images": "b", "sft_rows": "c", "verifier": ROLE, "evaluator": ROLE,
    "questioners": {label: {"model": "q"} for label in ("small", "large")},
    "answerers": dict.fromkeys(("small", "medium", "large"), ROLE),
}  # fmt: skip


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        ("faults", {"id": "f"}, "expected a JSON list of faults, got object"),
        ("faults", [{"id": "f", "when": {"color": 3}, "effect": "swap", "rate": 1}], "fault f: when.color: expected"),
        ("config", [1], "expected an object, got list"),
        ("config", {"answerers": {"small": ROLE}}, "answerers: expected small, medium, large, got small"),
        ("config", {"verifier": {**ROLE, "max_tokens": "many"}}, "verifier.max_tokens: input should be a valid int"),
        ("config", {"verifier": {"model": "m"}}, "verifier.endpoint: expected a URL, got none"),
        ("config", {"imagse": "x"}, "imagse: expected one of images, "),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named(reader, content, message, tmp_path):
    if isinstance(content, dict) and reader == "config":
        content = {**CONFIG, **content}
    (tmp_path / "some.json").write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        READERS[reader](tmp_path / "some.json")
    assert message in str(error.value) and "got" in str(error.value) and str(error.value).startswith("[")


def test_a_byte_order_mark_is_passed_over(tmp_path):
    file = tmp_path / "some.json"
    for reader, text in (("faults", "[]"), ("config", json.dumps(CONFIG))):
        file.write_bytes(b"\xef\xbb\xbf" + text.encode())
        READERS[reader](file)
    file.write_bytes(b"\xef\xbb\xbf{question}")
    prompts(file)
    assert PromptFiles.load(tmp_path / "prompts")["answerer"] == "{question}"
    file.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\n[2]')
    assert list(read_lines("op", file)) == [("some.json, line 1", {"a": 1}), ("some.json, line 3", [2])]


def test_nesting_up_to_the_limit_and_a_lone_surrogate_are_read(tmp_path):
    assert parse("op", "x", "[" * MOST_LEVELS + "]" * MOST_LEVELS)
    with pytest.raises(ValueError, match="levels"):
        parse("op", "x", "[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1))
    assert parse("op", "x", r'{"\ud83d\ude00": "\udcff", "b": ["\\udcff"]}') == {"😀": r"\udcff", "b": [r"\udcff"]}
    with pytest.raises(ValueError, match=r"^\[op\] 'a\\x00': expected a JSON file, got none"):
        read_json("op", "a\0")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.jsonl", b'{"run": "run"', "l.jsonl, line 1: expected JSON"),
        ("l.jsonl", b"\n" + b"[" * 100_000, "l.jsonl, line 2: expected brackets"),
        ("l.jsonl", b"\xff\n", "l.jsonl, line 1: expected UTF-8"),
        ("l.jsonl", b'"text"', "l.jsonl, line 1: expected an object, got 'text'"),
        ("l.csv", b"run,phase\n\xff,x", "l.csv: expected UTF-8"),
        ("l.csv", b'run\n"' + b"x" * 200_000, "l.csv, line 1: expected CSV (field larger than"),
    ],
)
def test_labels_that_cannot_be_read_are_named(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with Ledger(":memory:") as ledger, pytest.raises(ValueError) as error:
        import_labels(ledger, tmp_path / name)
    assert message in str(error.value)


@pytest.mark.parametrize("content", ["[", "[]", "{}", '{"settings": 3}', '{"settings": null}', "\xff"])
def test_an_arm_that_ended_in_no_way_we_know_is_named(content, tmp_path):
    (tmp_path / "done.json").write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"^\[reproduce\] .*done\.json: (settings: )?expected .*got|expected JSON"):
        check_same(None, None, tmp_path, seed=0)
