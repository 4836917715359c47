"""A ledger is read wherever it is: on a share that cannot be written, of another user, beside a killed run's log."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from support.ledgers import RUN, first_schema, make_step
from support.rights import nobody
from vlmprobe import cli
from vlmprobe.ledger import Ledger

STEPS = 3


@pytest.fixture
def folder():
    """A run's folder that everybody can look into, with a closed ledger."""
    outer = Path(tempfile.mkdtemp())
    outer.chmod(0o755)
    (outer / "run").mkdir()
    with Ledger(outer / "run" / "ledger.sqlite") as ledger:
        ledger.begin(RUN)
        for step in range(STEPS):
            ledger.record(make_step(step))
    yield outer / "run"
    for path in [outer, *outer.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(outer)


def shut(folder):
    """Nobody may write any more."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed(folder):
    """As a kill leaves the folder: half of the steps are in the log alone."""
    ledger = Ledger(folder / "ledger.sqlite")
    ledger._db.execute("PRAGMA wal_autocheckpoint = 0")
    for step in range(STEPS, 2 * STEPS):
        ledger.record(make_step(step))
    found = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    ledger.close()
    for name, content in found.items():
        (folder / name).write_bytes(content)
    assert (folder / "ledger.sqlite-wal").stat().st_size > 0


def steps_in(folder):
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert len(ledger.failures()) == ledger.progress()[0].phases[0].steps
        return len(ledger.recorded_steps("demo"))


def test_a_ledger_in_a_folder_that_cannot_be_written_is_read(folder):
    before = shut(folder)
    with nobody():
        assert steps_in(folder) == STEPS
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("index", ["there", "gone"])
def test_a_killed_run_in_a_folder_that_cannot_be_written_is_read_with_its_log(index, folder):
    killed(folder)
    if index == "gone":
        (folder / "ledger.sqlite-shm").unlink()
    before, temporary = shut(folder), set(os.listdir(tempfile.gettempdir()))
    with nobody():
        assert steps_in(folder) == 2 * STEPS
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not any(name.startswith("vlmprobe-ledger") for name in set(os.listdir(tempfile.gettempdir())) - temporary)


def test_an_empty_log_that_a_reader_left_is_no_hindrance(folder):
    (folder / "ledger.sqlite-wal").touch()
    shut(folder)
    with nobody():
        assert steps_in(folder) == STEPS


def test_a_file_that_cannot_be_written_in_a_folder_that_can_is_read(folder):
    (folder / "ledger.sqlite").chmod(0o444)
    folder.chmod(0o777)
    with nobody():
        assert steps_in(folder) == STEPS
    assert os.listdir(folder) == ["ledger.sqlite"]


def test_a_ledger_of_an_earlier_schema_is_read_there_too(folder):
    (folder / "ledger.sqlite").unlink()
    first_schema(folder / "ledger.sqlite")
    before = shut(folder)
    with nobody(), Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert [row.judge for row in ledger.failures()] == ["judge@1"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_link_to_a_ledger_is_read_beside_the_ledgers_own_log(folder):
    killed(folder)
    (folder.parent / "link.sqlite").symlink_to(folder / "ledger.sqlite")
    with Ledger(folder.parent / "link.sqlite", read_only=True) as ledger:
        assert len(ledger.recorded_steps("demo")) == 2 * STEPS


@pytest.mark.parametrize("readers", [1, 2])
def test_reading_leaves_no_files_behind_and_changes_none(readers, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    several = [Ledger(folder / "ledger.sqlite", read_only=True) for _ in range(readers)]
    for ledger in several:
        assert len(ledger.failures()) == STEPS
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            ledger._db.execute("DELETE FROM events")
    for ledger in several:
        ledger.close()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_killed_runs_log_stays_where_it_is(folder):
    killed(folder)
    before = {name: (folder / name).read_bytes() for name in ("ledger.sqlite", "ledger.sqlite-wal")}
    assert steps_in(folder) == 2 * STEPS
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_reader_sees_what_a_run_writes_after_it_was_opened(folder):
    with Ledger(folder / "ledger.sqlite", read_only=True) as reader:
        assert len(reader.failures()) == STEPS
        with Ledger(folder / "ledger.sqlite") as writer:
            writer.record(make_step(STEPS))
        assert len(reader.failures()) == STEPS + 1


def test_what_cannot_be_read_at_all_is_one_sentence(folder):
    (folder / "ledger.sqlite").chmod(0o000)
    said = r"^\[Ledger\] .*ledger\.sqlite: cannot be opened \(unable to open database file\)$"
    with nobody(), pytest.raises((OSError, ValueError), match=said):
        steps_in(folder)


def test_the_commands_read_a_folder_that_cannot_be_written(folder, capsys):
    shut(folder)
    out = folder.parent / "out"
    out.mkdir()
    out.chmod(0o777)
    with nobody():
        assert cli.main(["export", "--run", str(folder), str(out / "all.jsonl")]) == 0
        assert cli.main(["export", "--run", str(folder), str(folder / "all.jsonl")]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{4 * STEPS} questions: ")
    assert captured.err.startswith(
        f"vlmprobe export: [Ledger.export] {folder}/all.jsonl: cannot be written (Permission d"
    )
