"""The ledger's schema: files of earlier versions come along, judges are told apart, keys hold."""

from __future__ import annotations

import dataclasses
import sqlite3

import pytest

from support.ledgers import RUN, first_schema, make_step
from vlmprobe.ledger import JudgeRecord, Ledger
from vlmprobe.ledger.file import SCHEMA


def test_a_file_of_the_first_schema_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.sqlite"
    first_schema(path)
    with Ledger(path) as ledger:
        (row,) = ledger.failures()
        assert (row.question, row.answer, row.answerer, row.judge) == ("how many", "two", "tiny@1", "judge@1")
        step = ledger.step("old", "train", 0)
        assert [question.verdict.judge for question in step.questions] == ["judge@1", "judge@2"]
        assert ledger.record(step) is False
        assert ledger.record(dataclasses.replace(step, step=1)) is True
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM judges").fetchone() == (3,)


def test_reading_a_file_of_the_first_schema_changes_nothing(tmp_path):
    path = tmp_path / "old.sqlite"
    first_schema(path)
    before = path.read_bytes()
    with Ledger(path, read_only=True) as ledger:
        assert [row.judge for row in ledger.failures()] == ["judge@1"]
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "old.sqlite"
    first_schema(path)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE calls (x)")  # in the way of the second schema's
    with pytest.raises(OSError, match=r"^\[Ledger\] .*old\.sqlite: cannot be opened \(table calls already exists\)"):
        Ledger(path)
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE calls")
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    with Ledger(path) as ledger:
        assert len(ledger.failures()) == 1


def test_a_migrated_file_has_the_tables_of_a_new_one(tmp_path):
    first_schema(tmp_path / "old.sqlite")
    shapes = []
    for name in ("old.sqlite", "new.sqlite"):
        Ledger(tmp_path / name).close()
        with sqlite3.connect(tmp_path / name) as db:
            shapes.append(sorted(db.execute("SELECT type, name, sql FROM sqlite_master").fetchall()))
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert shapes[0] == shapes[1]


def judged(**fields) -> list[JudgeRecord]:
    return [JudgeRecord(role="verifier", identity="oracle@1", **fields)]


def test_a_judge_with_another_prompt_or_sampling_is_another_judge(tmp_path):
    prompts = [judged(prompt_sha256="aa"), judged(prompt_sha256="bb"), judged(prompt_sha256="aa"), ()]
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RUN)
        for step, judges in enumerate(prompts):
            ledger.record(make_step(step, judges=judges))
        assert [judge.prompt_sha256 for judge in ledger.step("demo", "train", 1).judges] == ["", "bb"]
        with pytest.raises(ValueError, match=r"was recorded with another questions\[0, 0\]\.verdict: .*aa.* got .*bb"):
            ledger.record(make_step(0, judges=prompts[1]))
    with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
        query = "SELECT prompt_sha256, count(*) FROM judges WHERE role = 'verifier' GROUP BY 1 ORDER BY 1"
        assert db.execute(query).fetchall() == [("", 1), ("aa", 1), ("bb", 1)]
        query = "SELECT count(*) FROM verdicts JOIN judges USING (judge_id) WHERE prompt_sha256 = 'aa'"
        assert db.execute(query).fetchone() == (6,)


def test_a_judge_is_described_by_what_the_model_says_of_itself():
    class Model:
        identity, revision, sampling = "m", "r1", {"temperature": 0.0}

    judge = JudgeRecord.of("answerer", Model())
    assert judge == JudgeRecord(role="answerer", identity="m", revision="r1", sampling={"temperature": 0.0})


def test_a_row_without_its_judge_is_refused_by_the_file(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RUN)
        ledger.record(make_step())
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            ledger._db.execute("UPDATE verdicts SET judge_id = 99")
