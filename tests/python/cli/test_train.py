"""`vlmprobe train`: a run directory that is begun, gone on with, and never silently changed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from support.tiny_runs import dump, whole_state
from vlmprobe import cli
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.run.checkpoint import find

PYTHON = Path(__file__).parents[3] / "python"
SMALL = [
    *("--embedder", "hashed", "--k", "2", "--group-size", "2", "--images-per-step", "2", "--pool", "4"),
    *("--checkpoint-every", "2"),
]


def train(run: Path, *words: str) -> int:
    return cli.main(["train", "--run", str(run), *words])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    run = tmp_path_factory.mktemp("train") / "run"
    assert train(run, *SMALL, "--steps", "5") == 0
    return run


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def test_a_run_has_settings_ledger_metrics_and_its_last_two_checkpoints(finished):
    assert json.loads((finished / "run.json").read_text())["settings"]["k"] == 2
    assert [json.loads(line)["step"] for line in (finished / "metrics.jsonl").read_text().splitlines()] == [*range(5)]
    assert sorted(path.name for path in (finished / "checkpoints").iterdir()) == ["step-00000004", "step-00000005"]
    with Ledger(finished / "ledger.sqlite", read_only=True) as ledger:
        assert str(ledger.progress()[0]) == "train: finished; train: 5 steps, last 4, 40 questions"


def test_three_calls_end_in_the_bytes_of_one(finished, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, *SMALL, "--steps", "1") == 0
    assert train(run, "--steps", "3", "--checkpoint-every", "1") == 0
    assert train(run, "--steps", "5", "--k", "2") == 0
    assert "steps 3 to 5" in capsys.readouterr().err
    assert whole_state(find(run / "checkpoints")) == whole_state(find(finished / "checkpoints"))
    assert dump(run / "ledger.sqlite") == dump(finished / "ledger.sqlite")
    assert (run / "metrics.jsonl").read_text() == (finished / "metrics.jsonl").read_text()


def test_a_finished_run_has_nothing_to_do(copy, capsys):
    before = (copy / "metrics.jsonl").read_bytes(), dump(copy / "ledger.sqlite")
    assert train(copy, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["steps"] == 5 and said["n_questions"] == 40 and said["answerer_calls"] > 0
    assert ((copy / "metrics.jsonl").read_bytes(), dump(copy / "ledger.sqlite")) == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["--seed", "1"],
            "[train] seed: this run has 0, got 1; leave it out to go on, or name another folder with --run",
        ),
        (["--k", "3"], "[train] k: this run has 2, got 3;"),
        (["--reward", "valid * wrong"], "[train] reward: this run has 'paper', got 'valid * wrong';"),
        (["--answerer", "tiny"], "[train] answerer: this run has 'executing', got 'tiny';"),
        (["--faults", "none.json"], "[train] faults: this run has '["),
        (["--from-step", "3"], "expected a checkpoint of step 3, got step-00000004, step-00000005"),
    ],
)
def test_other_settings_than_the_runs_are_named_and_change_nothing(copy, capsys, monkeypatch, words, text):
    monkeypatch.chdir(copy.parent)
    Path("none.json").write_text("[]")
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.suffix in (".json", ".jsonl")}
    assert train(copy, *words) == 2
    assert text in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.suffix in (".json", ".jsonl")} == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--steps", "0"], "[train] steps: expected at least 1, got 0"),
        (["--k", "9"], "[train] k: expected at most 8, got 9"),
        (["--seed", "-1"], "[train] seed: expected 0 to 2**32 - 1, got -1"),
        (["--learning-rate", "0"], "[train] learning_rate: expected a finite number above 0, got 0"),
        (["--faults", "nowhere.json"], "[load_faults] nowhere.json: expected a JSON file with faults, got none"),
    ],
)
def test_wrong_input_makes_no_folder(tmp_path, capsys, words, text):
    assert train(tmp_path / "run", *words) == 2
    assert text in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_checkpoint_cut_short_names_the_file_and_the_step_before_goes_on(copy, finished, capsys):
    weights = copy / "checkpoints" / "step-00000005" / "questioner" / "model.safetensors"
    os.truncate(weights, 1000)
    assert train(copy) == 2
    said = capsys.readouterr().err
    assert (
        f"{weights}: expected " in said
        and "bytes, got 1000. Put the file back, or load the one before it, step 4" in said
    )
    assert train(copy, "--from-step", "4") == 0
    assert whole_state(find(copy / "checkpoints")) == whole_state(find(finished / "checkpoints"))
    assert dump(copy / "ledger.sqlite") == dump(finished / "ledger.sqlite")


def test_a_ledger_of_a_newer_version_is_named(copy, capsys):
    with sqlite3.connect(copy / "ledger.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    assert train(copy) == 2
    assert f"[Ledger] {copy}/ledger.sqlite: expected schema " in (said := capsys.readouterr().err)
    assert ", got 99; " in said and "newer vlmprobe" in said


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "gone", [["ledger.sqlite"], ["ledger.sqlite", "run.json"], ["ledger.sqlite", "lock", "run.json"]]
)
def test_a_ledger_that_is_gone_beside_its_checkpoints_is_said_and_the_run_is_not_begun_anew(copy, capsys, gone):
    for name in [*gone, "ledger.sqlite-wal", "ledger.sqlite-shm"]:
        (copy / name).unlink(missing_ok=True)
    before = files(copy)
    beside = "step-00000005" if "run.json" in gone else "run.json"
    for words in (["train"], ["rejudge", "--name", "a"], ["export", "all.jsonl"]):
        assert cli.main([words[0], "--run", str(copy), *words[1:]]) == 2
        said = capsys.readouterr().err
        assert f"{copy}/ledger.sqlite: expected the ledger of this run beside {beside}, got none: put it back" in said
    assert files(copy) == before


def test_the_ledger_of_another_command_is_not_asked_for_its_settings(tmp_path, capsys):
    (tmp_path / "demo").mkdir()
    with Ledger(tmp_path / "demo" / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="demo"))
    for words in (["rejudge"], ["reweight", "--reward", "valid"]):
        assert cli.main([*words, "--run", str(tmp_path / "demo"), "--name", "x"]) == 2
        said = capsys.readouterr().err
        assert f"{tmp_path}/demo: expected a run of `vlmprobe train`, got demo\n" in said


def test_a_run_without_its_settings_is_not_taken_for_a_new_one(copy, finished, capsys):
    settings = (copy / "run.json").read_bytes()
    (copy / "run.json").unlink()
    for words in (["train"], ["rejudge", "--name", "a"], ["reweight", "--name", "a", "--reward", "valid"]):
        assert cli.main([words[0], "--run", str(copy), *words[1:]]) == 2
        assert f"[train] {copy}/run.json: expected the settings of the run" in capsys.readouterr().err
    assert not (copy / "run.json").exists() and dump(copy / "ledger.sqlite") == dump(finished / "ledger.sqlite")
    (copy / "run.json").write_bytes(settings)
    assert train(copy, "--json") == 0


def test_a_run_that_was_stopped_between_its_settings_and_its_head_goes_on(tmp_path, finished, monkeypatch):
    run = tmp_path / "run"
    monkeypatch.setattr(Ledger, "begin", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert train(run, *SMALL, "--steps", "5") == 130
    assert json.loads((run / "run.json").read_text())["settings"]["k"] == 2
    monkeypatch.undo()
    assert train(run) == 0  # with the settings of the first call
    assert whole_state(find(run / "checkpoints")) == whole_state(find(finished / "checkpoints"))
    assert dump(run / "ledger.sqlite") == dump(finished / "ledger.sqlite")


def command(run: Path, *words: str, file_limit: int | None = None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.run(
        [sys.executable, "-m", "vlmprobe", "train", "--run", str(run), *words],
        capture_output=True, text=True, preexec_fn=limit, timeout=120, env=os.environ | {"PYTHONPATH": str(PYTHON)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "file"),
    [
        (4_000_000, "checkpoints/step-00000002: cannot be written"),
        (200_000, "ledger.sqlite: cannot be written"),
        (100_000, "ledger.sqlite: cannot be opened"),
    ],
)
def test_a_full_disk_is_named_and_nothing_is_lost(tmp_path, finished, limit, file):
    run = tmp_path / "run"
    done = command(run, *SMALL, "--steps", "5", file_limit=limit)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{run}/{file}" in done.stderr.splitlines()[-1] and " room " in done.stderr.splitlines()[-1]
    assert list(run.glob("checkpoints/*")) == []
    assert train(run, *SMALL, "--steps", "5") == 0  # there is room again
    assert whole_state(find(run / "checkpoints")) == whole_state(find(finished / "checkpoints"))
    assert dump(run / "ledger.sqlite") == dump(finished / "ledger.sqlite")
