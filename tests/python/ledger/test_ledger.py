"""The ledger: what is written can be read, once, in order, also after a kill."""

import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.ledgers import RUN, make_step, question, verdict
from vlmprobe.ledger import (
    AnswerRecord,
    ImageRecord,
    Ledger,
    SequenceRecord,
    VerdictRecord,
)
from vlmprobe.ledger.file import SCHEMA
from vlmprobe.models import Criteria, Verdict


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RUN)
        yield ledger


def test_counts_of_a_step_worked_by_hand(ledger):
    """4 slots: 2 valid (one wrong, one right), 1 missing, 1 not judged; the two valid ones were asked."""
    assert ledger.record(make_step())
    counts = ledger.counts("train")
    assert dataclasses.asdict(counts) == {
        "n_questions": 4,
        "n_valid": 2,
        "n_invalid": 1,
        "n_unscored": 1,
        "n_wrong": 1,
        "answerer_calls": 2,
    }
    (only,) = ledger.steps("train")
    assert (only.step, only.n_wrong, only.reward) == (0, 1, 0.5)  # the unscored sequence is not in the mean
    assert ledger.counts("after").n_questions == 0 and ledger.steps("after") == []


def test_validity_in_sql_equals_validity_in_python(ledger):
    states = [True, False, None]
    combinations = [(a, b, c, d) for a in states for b in states for c in states for d in states]
    criteria = [
        Criteria(grammatical=a, atomic=b, grounded=c, objective=d, reason="said so") for a, b, c, d in combinations
    ]
    rows = [
        question(0, slot, verdict=VerdictRecord.of(Verdict.join(row), judge="j")) for slot, row in enumerate(criteria)
    ]
    ledger.record(make_step(sequences=make_step().sequences[:1], questions=rows))
    expected = [row.valid for row in criteria]
    counts = ledger.counts()
    assert (counts.n_valid, counts.n_invalid) == (expected.count(True), expected.count(False))
    assert counts.n_unscored == expected.count(None) + expected.count(True)  # correctness is unknown throughout


def test_a_failure_comes_with_all_that_is_known(ledger):
    ledger.record(make_step())
    (row,) = ledger.failures()
    assert (row.run, row.phase, row.step, row.sequence, row.slot) == ("demo", "train", 0, 0, 0)
    assert (row.image, row.image_key, row.question, row.answer) == (5, "scene-5", "how many 0", "two")
    assert (row.reason, row.judge, row.answerer) == ("said False", "oracle@1", "tiny@1")
    assert row.rewards == {"lexical": 0.5, "semantic": 1.0, "total": 0.75}
    assert row.annotations == {"family": "count", "faults": ["c1"], "truth": "3"}


def test_failures_are_in_order_and_limited(ledger):
    for step in range(4):
        ledger.record(make_step(step, phase="train" if step < 3 else "after"))
    assert [row.step for row in ledger.failures("train")] == [0, 1, 2]
    assert [row.step for row in ledger.failures(limit=2)] == [0, 1]
    assert ledger.failures("train", limit=0) == [] and ledger.failures(run="other") == []
    with pytest.raises(ValueError, match=r"^\[Ledger\.failures\] limit must be at least 0 or None, got -1"):
        ledger.failures(limit=-1)


def test_a_step_recorded_twice_counts_once(ledger):
    assert ledger.record(make_step()) is True
    before = list(ledger.dump(times=True))
    assert ledger.record(make_step()) is False
    with pytest.raises(
        ValueError, match=r"step 0 of 'train' of run 'demo' was recorded with another questions\[0, 0\]:"
    ):
        ledger.record(make_step(questions=[]))
    assert list(ledger.dump(times=True)) == before
    assert ledger.record(make_step(phase="after")) is True  # another phase is another step


def test_an_invalid_step_leaves_nothing_behind(ledger):
    ledger.record(make_step())
    before = list(ledger.dump(times=True))
    bad = [*make_step().questions[:3], question(1, 1, rewards={"total": "high"})]
    with pytest.raises(ValueError):
        ledger.record(make_step(1, questions=bad))
    assert list(ledger.dump(times=True)) == before
    assert ledger.record(make_step(1))


def test_nan_is_null_and_infinity_is_kept(ledger):
    ledger.record(make_step(questions=[question(0, 0, rewards={"a": float("nan"), "b": float("inf"), "c": None})]))
    with sqlite3.connect(ledger.path) as db:
        assert db.execute("SELECT term, value FROM rewards").fetchall() == [
            ("a", None),
            ("b", float("inf")),
            ("c", None),
        ]
        assert db.execute("SELECT reward FROM sequences").fetchall() == [(0.5,), (None,)]


def test_numbers_of_numpy_and_torch_are_taken(ledger):
    torch = pytest.importorskip("torch")
    sequence = SequenceRecord(
        sequence=np.int64(0), image=np.int32(5), group=0, text="", tokens=np.int64(3), reward=torch.tensor(0.25)
    )
    assert ledger.record(make_step(sequences=[sequence], questions=[question(0, 0, rewards={"a": np.float32(0.5)})]))
    assert ledger.steps("train")[0].reward == 0.25


@pytest.mark.parametrize("text", ["a\x00b", "<script>'\";DROP TABLE runs;--", "\ud800", "字\u202e", "x" * 1_000_000])
def test_hostile_text_is_kept_as_it_is(ledger, text):
    ledger.record(
        make_step(
            questions=[
                question(
                    0,
                    0,
                    text=text,
                    verdict=verdict(False),
                    answer=AnswerRecord(answerer="a", text=text),
                    annotations={"k": text},
                )
            ]
        )
    )
    (row,) = ledger.failures()
    kept = text if text != "\ud800" else "\\ud800"  # UTF-8 cannot hold it
    assert (row.question, row.answer, row.annotations) == (kept, kept, {"k": text})
    assert len(list(ledger.dump())) > 0 and ledger.runs() == [RUN]


def test_two_ledgers_of_one_seed_differ_in_times_only(tmp_path):
    dumps = []
    for name in ("a", "b"):
        with Ledger(tmp_path / name) as ledger:
            ledger.begin(RUN)
            for step in range(3):
                ledger.record(make_step(step))
            ledger.event("demo", kind="outage", text="answerer: 3 time-outs")
            ledger.finish("demo")
            with sqlite3.connect(ledger.path) as db:  # as if recorded at another time
                for table, column in (("runs", "created_time"), ("steps", "recorded_time"), ("events", "event_time")):
                    db.execute(f"UPDATE {table} SET {column} = ?", (name,))
            dumps.append((list(ledger.dump()), list(ledger.dump(times=True))))
    assert dumps[0][0] == dumps[1][0]
    assert dumps[0][1] != dumps[1][1]
    tables = ("runs", "images", "steps", "sequences", "questions", "verdicts", "answers", "rewards", "annotations")
    for table in (*tables, "judges", "events"):
        assert any(f'"table": "{table}"' in line for line in dumps[0][0])


def test_dump_shows_every_difference(tmp_path):
    texts = []
    for reward in (0.1 + 0.2, 0.3):
        with Ledger(":memory:") as ledger:
            ledger.begin(RUN)
            ledger.record(make_step(questions=[question(0, 0, rewards={"total": reward})]))
            texts.append(list(ledger.dump()))
    assert len([1 for a, b in zip(*texts, strict=True) if a != b]) == 1


def test_every_time_is_in_a_column_that_says_so(ledger):
    with sqlite3.connect(ledger.path) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [row[1] for table in tables for row in db.execute(f"PRAGMA table_info({table})")]
    assert sorted(name for name in columns if "time" in name or "creat" in name or "date" in name) == [
        "created_time",
        "created_time",
        "event_time",
        "finished_time",
        "latency_time",
        "recorded_time",
    ]


WRITER = """
import sys
sys.path.insert(0, {tests!r})
from support.ledgers import RUN, make_step
from vlmprobe.ledger import Ledger
ledger = Ledger({path!r})
ledger.begin(RUN)
for step in range(10**6):
    ledger.record(make_step(step))
    print(step, flush=True)
"""


@pytest.fixture
def killed(tmp_path):
    """A ledger whose writer was killed after step 30 or so, with the write-ahead log still beside it."""
    path = tmp_path / "run #1?" / "ledger.sqlite"
    path.parent.mkdir()
    code = WRITER.format(tests=str(Path(__file__).parents[1]), path=str(path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    recorded = -1
    try:
        for line in process.stdout:
            recorded = int(line)
            if recorded == 15:  # a reader beside the living writer
                with Ledger(path, read_only=True) as reader:
                    assert reader.counts().n_questions >= 16 * 4
            if recorded >= 30:
                break
    finally:
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        process.stdout.close()
    assert process.returncode == -signal.SIGKILL
    assert Path(f"{path}-wal").stat().st_size > 0
    return path, max([recorded, *map(int, rest)])


def test_a_killed_run_is_readable_and_says_how_far_it_came(killed):
    path, recorded = killed
    with Ledger(path, read_only=True) as ledger:
        (progress,) = ledger.progress()
        assert progress.run == "demo" and not progress.finished
        (train,) = progress.phases
        assert train.last_step in (recorded, recorded + 1)  # the last one may not have been printed
        assert (train.steps, train.questions) == (train.last_step + 1, 4 * (train.last_step + 1))
        assert str(progress).startswith(f"demo: interrupted; train: {train.steps} steps, last {train.last_step}, ")
        assert len(ledger.failures()) == train.steps


def test_a_killed_run_can_be_taken_up_again(killed):
    path, recorded = killed
    with Ledger(path) as ledger:
        ledger.begin(RUN)
        assert ledger.record(make_step(recorded)) is False
        assert ledger.record(make_step(recorded + 2)) is True
        ledger.finish("demo")
        assert str(ledger.progress()[0]).startswith("demo: finished; ")


def test_a_copy_without_its_log_files_and_a_read_only_place_work(killed, tmp_path):
    path, _ = killed
    with Ledger(path):  # closing the last connection folds the log into the file
        pass
    copy = tmp_path / "copy.sqlite"
    shutil.copy(path, copy)
    copy.chmod(0o444)
    with Ledger(copy, read_only=True) as ledger:
        assert ledger.counts().n_questions > 0


def test_reading_never_writes(ledger):
    with Ledger(ledger.path, read_only=True) as reader:
        with pytest.raises(ValueError, match=r"^\[Ledger\] .*ledger\.sqlite: was opened read_only"):
            reader.record(make_step())
        with pytest.raises(ValueError, match="was opened read_only"):
            reader.begin(RUN)


def test_several_runs_in_one_file_are_told_apart(ledger):
    ledger.begin(dataclasses.replace(RUN, id="other"))
    other = [ImageRecord(id=5, key="another picture", sha256="cd")]
    ledger.record(make_step())
    ledger.record(dataclasses.replace(make_step(), run="other", images=other))
    assert [run.id for run in ledger.runs()] == ["demo", "other"]
    assert ledger.counts("train").n_questions == 8 and ledger.counts("train", run="other").n_questions == 4
    assert [row.image_key for row in ledger.failures(run="other")] == ["another picture"]
    assert len(ledger.progress()) == 2 and len(ledger.steps("train", run="demo")) == 1


def test_begin_takes_the_same_run_again_and_no_other(ledger):
    ledger.finish("demo")
    ledger.begin(RUN)
    assert not ledger.progress()[0].finished
    with pytest.raises(ValueError, match=r"^\[Ledger\.begin\] run 'demo' has another config: seed: expected 7, got 8$"):
        ledger.begin(dataclasses.replace(RUN, config={"seed": 8}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"run": "nobody"}, r"\[Ledger\] run 'nobody' was not begun; call begin first"),
        ({"phase": ""}, r"phase: expected a name, got an empty text"),
        ({"step": 1.5}, r"step: expected an integer, got 1\.5"),
        ({"images": []}, r"sequences\[0\]\.image: 5 is not recorded; give it in StepRecord\.images"),
        ({"sequences": []}, r"questions\[0, 0\]: sequence 0 is not among the sequences"),
        ({"sequences": make_step().sequences[:1] * 2}, r"sequences: 0 is given twice"),
        ({"questions": [question(0, 1)] * 2}, r"questions: \(0, 1\) is given twice"),
        ({"questions": [question(0, 0, text=None)]}, r"questions\[0, 0\]\.text: expected str, got NoneType"),
        (
            {"questions": [question(0, 0, rewards={"a": "high"})]},
            r"questions\[0, 0\]\.rewards\['a'\]: expected a number or None, got 'high'",
        ),
        (
            {"questions": [question(0, 0, annotations={"a": object()})]},
            r"questions\[0, 0\]\.annotations\['a'\]: cannot be written as JSON",
        ),
        (
            {"questions": [question(0, 0, verdict=dataclasses.replace(verdict(True), correct=1))]},
            r"questions\[0, 0\]\.verdict\.correct: expected True, False or None, got 1",
        ),
        (
            {"questions": [question(0, 0, answer=AnswerRecord(answerer="a"))]},
            r"questions\[0, 0\]\.answer: expected exactly one of text and failure",
        ),
    ],
)
def test_errors_name_the_row(ledger, fields, message):
    with pytest.raises(ValueError, match=message):
        ledger.record(dataclasses.replace(make_step(), **fields))


def test_an_image_that_changed_is_an_error(ledger):
    ledger.record(make_step())
    changed = [ImageRecord(id=5, key="scene-5", sha256="other")]
    with pytest.raises(ValueError, match=r"^\[Ledger\.record\] image 5: was recorded as \('scene-5', 'ab'\), got"):
        ledger.record(make_step(1, images=changed))


def test_files_that_are_no_ledgers(tmp_path):
    with pytest.raises(ValueError, match=r"^\[Ledger\] path: no file '.*none'"):
        Ledger(tmp_path / "none", read_only=True)
    with pytest.raises(ValueError, match=r"^\[Ledger\] path: no folder '.*nowhere'"):
        Ledger(tmp_path / "nowhere" / "ledger.sqlite")
    (tmp_path / "text").write_text("not a database, " * 100)
    with pytest.raises(ValueError, match=r"^\[Ledger\] .*text: not a readable ledger \(file is not a database\)"):
        Ledger(tmp_path / "text")
    with sqlite3.connect(tmp_path / "other") as db:
        db.execute("CREATE TABLE t (x)")
    with pytest.raises(ValueError, match=r"^\[Ledger\] .*other: a database, but not a ledger"):
        Ledger(tmp_path / "other")
    with Ledger(tmp_path / "new"), sqlite3.connect(tmp_path / "new") as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(ValueError, match=rf"^\[Ledger\] .*new: expected schema {SCHEMA}, got 9; a newer vlmprobe"):
        Ledger(tmp_path / "new", read_only=True)
