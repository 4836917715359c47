"""Files of JSON and lists that editors and strangers broke: each fault is one sentence that names file and field."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict

import pytest

from vlmprobe._util.json import MOST_LEVELS, parse, read_json, read_lines
from vlmprobe.cli.train import Settings, settle
from vlmprobe.ledger import Ledger
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.roles import read_roles
from vlmprobe.review.people import import_labels
from vlmprobe.run.directory import read_settings
from vlmprobe.studies.arms import check_same
from vlmprobe.studies.setup import read_config
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


def settings(file):
    shutil.copy(file, file.parent / "run.json")
    settle(read_settings(file.parent), {})


READERS = {"models": read_roles, "faults": load_faults, "config": read_config, "settings": settings}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", CONTENTS)
def test_what_is_no_plain_json_is_refused_wherever_json_is_read(content, reader, tmp_path):
    file = tmp_path / "some.json"
    text, message = CONTENTS[content]
    file.write_bytes(text)
    with pytest.raises(ValueError, match=rf"^\[\w+\] .*(some|run)\.json: {message}"):
        READERS[reader](file)


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_in_the_place_of_a_file_is_named(reader, tmp_path):
    (tmp_path / "some.json").mkdir()
    with pytest.raises((ValueError, IsADirectoryError), match=r"some\.json"):
        READERS[reader](tmp_path / "some.json")
    (tmp_path / "run.json").mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=r"run\.json: expected the settings of a run, got none \(Is a directory\)"):
        read_settings(tmp_path)


ROLE = {"model": "m", "endpoints": ["http://127.0.0.1:1/v1"]}


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        ("models", [], "expected an object, got list"),
        ("models", {"answerer": {**ROLE, "sampling": {"max_tokens": "9"}}}, "sampling.max_tokens: expected a whole"),
        ("models", {"answerer": {**ROLE, "sampling": {"seed": 2**63}}}, "sampling.seed: expected 0 to 2147483647"),
        ("models", {"answerer": {**ROLE, "client": {"deadline_s": True}}}, "client.deadline_s: expected a number"),
        ("models", {"answerer": {**ROLE, "client": {"extra": [1]}}}, "client.extra: expected an object, got list"),
        ("models", {"answerer": {**ROLE, "client": {"schema": "no"}}}, "client.schema: expected true or false"),
        ("models", {"answerer": {**ROLE, "budget": {"max_calls": 1.5}}}, "budget.max_calls: expected a whole number"),
        ("models", {"verifier": {**ROLE, "judge": {"confirm": None}}}, "judge.confirm: expected a whole number"),
        ("faults", {"id": "f"}, "expected a JSON list of faults, got object"),
        ("faults", [{"id": "f", "when": {"color": 3}, "effect": "swap", "rate": 1}], "fault f: when.color: expected"),
        ("config", [1], "expected an object, got list"),
        ("settings", {"format": 1}, "settings: expected an object, got none"),
        ("settings", {"format": 1, "settings": {"steps": [3]}}, "steps: expected a whole number, got list"),
        ("settings", {"format": 1, "settings": {"seed": "0"}}, "seed: expected a whole number, got '0'"),
        ("settings", {"format": 1, "settings": {"beta": None}}, "beta: expected a number, got None"),
        ("settings", {"format": 1, "settings": {"models": []}}, "models: expected an object, got list"),
        ("settings", {"format": True, "settings": {}, "x": 1}, "expected format 1, got True"),
    ],
)  # fmt: skip
def test_a_value_of_another_kind_is_named(reader, content, message, tmp_path):
    (tmp_path / "some.json").write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        READERS[reader](tmp_path / "some.json")
    assert message in str(error.value) and "got" in str(error.value) and str(error.value).startswith("[")


def test_settings_that_were_written_are_read(tmp_path):
    (tmp_path / "some.json").write_text(json.dumps({"format": 1, "settings": asdict(Settings())}))
    settings(tmp_path / "some.json")


def test_a_byte_order_mark_is_passed_over(tmp_path):
    file = tmp_path / "some.json"
    for reader, text in (("faults", "[]"), ("config", "{}"), ("models", json.dumps({"answerer": ROLE}))):
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
