"""A run's folder: one process at a time, settings that stay, and errors that name the file and the way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.ledgers import make_step
from support.rights import nobody
from support.tiny_runs import make
from vlmprobe._util.files import write_text
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.report import StepReport
from vlmprobe.models import Failure, Reply
from vlmprobe.run.directory import RunDirectory
from vlmprobe.run.lines import recorded_report, step_line
from vlmprobe.world.answerers import ExecutingAnswerer

PYTHON = Path(__file__).parents[3] / "python"
REPORT = StepReport(
    step=0, questions=1, valid=1, wrong=0, unscored=0, calls=1, reward=0.0, terms={}, loss=0.0, kl=0.0, entropy=0.0,
    clip_fraction=0.0, grad_norm=0.0, tokens=1,
)  # fmt: skip


def test_a_second_process_is_told_which_one_has_the_folder(tmp_path):
    with RunDirectory(tmp_path / "run", quiet=True):
        code = f"from vlmprobe.run.directory import RunDirectory; RunDirectory({str(tmp_path / 'run')!r}, resume=True)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(PYTHON)}
        )
    expected = f"[RunDirectory] path: '{tmp_path}/run' is in use by process {os.getpid()}: wait until it ends"
    assert expected in done.stderr
    with RunDirectory(tmp_path / "run", quiet=True, resume=True) as folder:  # it has ended
        assert folder.resumed


def test_a_folder_of_something_else_is_not_taken_for_a_run(tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(ValueError, match=r"path: expected a new or empty folder, or that of a run, got '"):
        RunDirectory(tmp_path, resume=True)
    with pytest.raises(ValueError, match=r"or that of a run, got a file, '.*kept'"):
        RunDirectory(tmp_path / "kept", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_name_that_is_no_utf8_is_refused_before_anything_is_made(tmp_path):
    """Checkpoints could not be written there, after the first steps are made."""
    with pytest.raises(ValueError, match=r"^\[RunDirectory\] path: expected a name in UTF-8, got '.*caf\\udce9'$"):
        RunDirectory(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left", ["metrics.jsonl", "checkpoints/step-00000002", "checkpoints/RL/step-00000002"])
def test_what_is_left_of_a_run_without_its_ledger_is_named(tmp_path, left):
    (tmp_path / left).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / left).mkdir() if "step" in left else (tmp_path / left).write_text("{}\n")
    name = left.rpartition("/")[2]
    with pytest.raises(ValueError, match=rf"ledger\.sqlite: expected the ledger of this run beside {name}, got none"):
        RunDirectory(tmp_path, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == [left.partition("/")[0]]


def test_an_attempt_that_came_to_no_run_leaves_a_folder_that_may_be_used(tmp_path):
    with RunDirectory(tmp_path / "run", quiet=True, resume=True):
        pass
    (tmp_path / "run" / "ledger.sqlite").unlink()
    with RunDirectory(tmp_path / "run", quiet=True, resume=True) as folder:
        assert folder.ledger.runs() == []


def test_a_run_is_not_gone_on_with_unless_asked_to(tmp_path):
    with RunDirectory(tmp_path / "run", quiet=True) as folder:
        assert not folder.resumed
    with pytest.raises(ValueError, match=r"expected a new or empty folder, got '"):
        RunDirectory(tmp_path / "run")


def test_resuming_drops_the_lines_that_come_again_and_one_that_was_cut(tmp_path):
    with RunDirectory(tmp_path / "run", quiet=True) as folder:
        folder.ledger.begin(RunRecord(id="run"))
        trainer = make(ledger=folder.ledger)
        for stage in ("before", "run"):
            folder.stage = stage
            for step in range(3):
                folder.on_step(StepReport(**{**vars(REPORT), "step": step}))
        trainer.step()
        folder.save(trainer)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "run", "ste')
    with RunDirectory(tmp_path / "run", quiet=True, resume=True) as folder:
        folder.load(make(ledger=folder.ledger))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["stage"], line["step"]) for line in lines] == [
        ("before", 0),
        ("before", 1),
        ("before", 2),
        ("run", 0),
    ]


def test_the_ledger_gives_back_the_numbers_of_each_step(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        trainer = make(ledger=ledger, answerer=HalfSilent())
        for report in trainer.train(3):
            found = recorded_report(ledger.step("run", "train", report.step))
            assert step_line("run", found) == step_line("run", report)
            assert found.unscored > 0 and found.terms.keys() == report.terms.keys()


class HalfSilent(ExecutingAnswerer):
    """Every second answer does not come through."""

    def answer(self, images, questions):
        replies = super().answer(images, questions)
        return [Reply(failure=Failure.TIMEOUT) if i % 2 else reply for i, reply in enumerate(replies)]


def test_a_step_that_was_not_trained_on_has_no_numbers_of_an_update():
    found = recorded_report(make_step(numbers={"asking_calls": 3}))
    assert (found.questions, found.valid, found.wrong, found.calls, found.tokens) == (4, 2, 1, 5, 10)
    assert found.reward == 0.5 and found.unscored == 1 and json.loads(step_line("x", found))["loss"] is None


@pytest.fixture
def open_folder():
    """A folder that everybody can look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_folder_is_named(open_folder):
    run = open_folder / "run"
    with RunDirectory(run, quiet=True):
        pass
    for path in (*run.iterdir(), run, open_folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    way = r": cannot be written \(Permission denied\); what was written before is kept\. Make room or give permission"
    with nobody():
        with pytest.raises(OSError, match=rf"^\[RunDirectory\] {run}{way}"):
            RunDirectory(run, resume=True)
        with pytest.raises(OSError, match=rf"^\[RunDirectory\] {open_folder}/new{way}"):
            RunDirectory(open_folder / "new")
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize("name", ["page.html", "all.jsonl", "all.parquet"])
def test_a_file_that_cannot_be_written_is_named_and_not_its_draft(open_folder, name):
    (open_folder / "ledger").mkdir()
    with Ledger(open_folder / "ledger" / "ledger.sqlite") as ledger:
        write = ledger.export if name != "page.html" else lambda path: write_text(path, "page")
        open_folder.chmod(0o555)
        with nobody(), pytest.raises(OSError, match="Permission denied") as refused:
            write(open_folder / name)
        assert f"{open_folder}/{name}" in str(refused.value) and ".part" not in str(refused.value)
        with pytest.raises(OSError, match="No such file or directory") as refused:
            write(open_folder / "nowhere" / name)
        assert f"{open_folder}/nowhere/{name}" in str(refused.value) and ".part" not in str(refused.value)
