"""Ledgers, reply caches and lines of metrics that disks and other programs broke: said, or written anew."""

from __future__ import annotations

import contextlib
import re
import sqlite3

import pytest

from support.counting import Counting, ask
from support.ledgers import RUN, make_step
from support.tiny_runs import make
from vlmprobe import cli
from vlmprobe.ledger import CachedModel, Ledger, RunRecord
from vlmprobe.ledger.file import SCHEMA
from vlmprobe.models.model import ModelReply, Status
from vlmprobe.run.directory import RunDirectory


def test_damaged_and_foreign_lines_of_metrics_are_written_anew_from_the_ledger(tmp_path):
    with RunDirectory(tmp_path / "run", quiet=True) as run:
        run.ledger.begin(RunRecord(id="run"))
        run.train(make(ledger=run.ledger), 2, checkpoint_every=1)
    file = tmp_path / "run" / "metrics.jsonl"
    whole = file.read_bytes()
    first, second = whole.splitlines(keepends=True)
    other = first.replace(b'"stage": "run"', b'"stage": "before"')
    for damaged in (
        b"",
        b"\xff\xfe\x00\n" + second,
        b'[]\n3\nnull\n"x"\n{}\n{"stage": "run"}\n{"stage": "run", "step": 0}\n',
        first + second[: len(second) // 2],
        second + b'{"a":' + b"[" * 100_000 + b"\n" + second,
        first.replace(b'"step": 0', b'"step": "0"') + second.replace(b'"valid": ', b'"valid": 1'),
        first.replace(b'"tokens"', b'"token"') + first.replace(b'"kl": 0.0', b'"kl": Infinity'),
        b"\0" * 5000,
    ):
        file.write_bytes(damaged)
        with RunDirectory(tmp_path / "run", quiet=True, resume=True) as run:
            run.load(make(ledger=run.ledger))
        assert file.read_bytes() == whole, damaged[:60]
    file.write_bytes(other + b"x\n" + second)
    with RunDirectory(tmp_path / "run", quiet=True, resume=True) as run:
        run.load(make(ledger=run.ledger))
    assert file.read_bytes() == other + whole


@pytest.fixture
def path(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RUN)
        for step in range(40):
            ledger.record(make_step(step))
    return tmp_path / "ledger.sqlite"


def read_all(path):
    with Ledger(path, read_only=True) as ledger:
        list(ledger.dump())
        list(ledger.failures())
        list(ledger.each_step("demo"))
        list(ledger.each_judged("demo"))
        ledger.runs(), ledger.progress(), ledger.counts(), ledger.steps("train"), ledger.export(path.parent / "a.jsonl")


@pytest.mark.parametrize("cut", [0, 1, 15, 100, 4096, 5000, 20_000])
def test_a_ledger_that_was_cut_is_said(cut, path):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"^\[Ledger\] .*ledger\.sqlite: (is damaged|not a readable|a database, but)"):
        read_all(path)


def test_a_ledger_with_a_page_of_other_bytes_is_said_wherever_it_is(path):
    whole = path.read_bytes()
    pages = range(0, len(whole) // 4096)
    said = 0
    for page in pages:
        path.write_bytes(whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :])
        try:
            read_all(path)  # a page of an index that no reading uses
        except ValueError as error:
            assert str(error).startswith("[Ledger] ") and "ledger.sqlite" in str(error), error
            said += 1
        with contextlib.suppress(ValueError, OSError), Ledger(path) as ledger:  # and nothing else
            ledger.record(make_step(99))
    assert said > len(pages) / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("PRAGMA application_id = 5", "a database, but not a ledger"),
        ("PRAGMA user_version = 99", f"expected schema {SCHEMA}, got 99; a newer vlmprobe wrote it"),
        ("PRAGMA user_version = -3", f"expected a schema of 1 to {SCHEMA}, got -3"),
        ("PRAGMA user_version = 0", f"expected a schema of 1 to {SCHEMA}, got 0"),
        (
            "ALTER TABLE questions RENAME COLUMN prefix TO beginning",
            "table questions: expected a column prefix, got none",
        ),
        ("DROP TABLE annotations", "table annotations: expected a column question_id, got no such table"),
        ("DROP VIEW question_rows", "table question_rows: expected a column run, got no such table"),
        ("UPDATE runs SET config = '['", "is damaged (Expecting value"),
        ("UPDATE runs SET config = '[]'", "is damaged (expected a JSON object, got '[]')"),
        ("UPDATE annotations SET value = 'x' WHERE question_id = 1", "is damaged ("),
        ("UPDATE annotations SET value = '1, 2' WHERE question_id = 1", "is damaged ("),
        ("UPDATE sequences SET tokens = 'many'", "is damaged (tokens: expected int, got 'many')"),
        ("UPDATE questions SET text = x'00ff'", "is damaged ("),
        ("UPDATE questions SET text = CAST(x'ff41' AS TEXT)", "is damaged (Could not decode to UTF-8"),
        ("UPDATE steps SET numbers = 'null'", "is damaged (expected a JSON object, got 'null')"),
        ("UPDATE verdicts SET correct = 7", "is damaged ("),
        ("UPDATE rewards SET value = 'high'", "is damaged (value: expected"),
    ],
)
def test_a_ledger_that_says_what_nobody_wrote_is_refused(change, message, path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute(change)
    db.close()
    with pytest.raises(ValueError) as error:
        read_all(path)
    assert str(error.value).startswith("[Ledger] ") and f"ledger.sqlite: {message}" in str(error.value)


def test_a_recorded_call_that_says_what_nobody_wrote_is_refused(path):
    with Ledger(path) as ledger:
        ledger.at("demo", "train", 0)
        ledger.record_calls("answerer", {"k": ModelReply(status=Status.OK, text="two")})
        for change in ("text = x'00ff'", "attempts = 'x'"):
            ledger._db.execute(f"UPDATE calls SET {change}")
            with pytest.raises(ValueError, match=r"^\[Ledger\] .*ledger\.sqlite: is damaged \("):
                ledger.recorded_calls("answerer", ["k"])


def test_a_ledger_that_was_closed_says_so(path):
    with Ledger(path) as ledger:
        failures = ledger.failures()
        kept = list(failures)
    assert len(kept) == 40
    with pytest.raises(RuntimeError, match=r"^\[Ledger\] .*ledger\.sqlite: is closed; keep what is needed"):
        list(failures)


@pytest.mark.parametrize("kind", ["text", "cut", "page", "table", "types", "other", "newer"])
def test_a_reply_cache_that_is_damaged_is_said(kind, tmp_path):
    path = tmp_path / "replies.sqlite"
    with CachedModel(Counting(), path) as cache:
        cache.reply([ask(f"{'why' * 500} {i}") for i in range(30)])
    content = path.read_bytes()
    changes = {
        "table": "ALTER TABLE replies DROP COLUMN endpoint",
        "types": "UPDATE replies SET prompt_tokens = 'many'",
        "other": "PRAGMA application_id = 7",
        "newer": "PRAGMA user_version = 9",
    }
    if kind in changes:
        with sqlite3.connect(path) as db:
            db.execute(changes[kind])
        db.close()
    elif kind == "text":
        path.write_text("no database " * 500)
    elif kind == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with (
        pytest.raises(ValueError, match=r"^\[CachedModel\] .*replies\.sqlite: "),
        CachedModel(Counting(), path) as cache,
    ):
        cache.reply([ask(f"{'why' * 500} {i}") for i in range(30)])


def test_the_command_says_one_sentence_and_ends_with_2(path, capsys):
    run = path.parent
    with sqlite3.connect(path) as db:
        db.execute("UPDATE questions SET text = x'00ff'")
    db.close()
    for words, said in (
        (["export", "--run", str(run), str(run / "all.jsonl")], r"^vlmprobe export: \[Ledger\] .*is damaged \("),
        (["report", "--run", str(run)], r"^vlmprobe report: \[Ledger\] .*is damaged \("),
    ):
        assert cli.main(words) == 2
        assert re.match(said, capsys.readouterr().err)
    (run / "probe.yaml").write_text("[" * 100)
    assert cli.main(["run", str(run)]) == 2
    assert re.match(r"^vlmprobe run: \[probe\] .*probe\.yaml: expected YAML \(", capsys.readouterr().err)
