"""Training with the world's pictures: a folder that is begun, gone on with, and never silently changed."""

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
from support.world_probes import run, train, written
from vlmprobe import cli
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.methods.local_search import FOLLOWED
from vlmprobe.probe.reading import read
from vlmprobe.run.checkpoint import find

pytestmark = pytest.mark.usefixtures("one_thread")

PYTHON = Path(__file__).parents[3] / "python"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train") / "run"
    assert train(folder, steps=5) == 0
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def same(folder: Path, other: Path) -> bool:
    """Whether two runs came to the same bytes, but for times and events."""
    states = [whole_state(find(each / "checkpoints")) for each in (folder, other)]
    ledgers = [dump(each / "ledger.sqlite") for each in (folder, other)]
    metrics = [(each / "metrics.jsonl").read_text() for each in (folder, other)]
    return states[0] == states[1] and ledgers[0] == ledgers[1] and metrics[0] == metrics[1]


def test_init_writes_the_worlds_own_probe_and_run_trains_on_it(tmp_path, capsys):
    folder = tmp_path / "probe"
    assert cli.main(["init", str(folder), "--images", "world", "--method", "rl"]) == 0
    sizes = ("images.n=4", "images_per_step=2", "group_size=2", "embedder=hashed", "budget.steps=1")
    words = [word for size in sizes for word in ("--set", size)]
    capsys.readouterr()
    assert run(folder, *words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 1 and found["n_questions"] == 12
    text = (folder / "probe.yaml").read_text()
    assert "learning_rate: 0.0002" in text and "source: world" in text
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        [record] = ledger.runs()
        step = ledger.step("probe", "train", 0)
    assert record.config["training"]["beta"] == 0.04 and "hashed" in record.identities["embedder"]
    assert all("reached" in question.annotations for question in step.questions if question.verdict is not None)


def test_a_folder_that_is_named_world_is_not_taken_for_a_model_of_the_world(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "world").mkdir()
    assert cli.main(["init", "probe", "--images", "world"]) == 0
    probe = read(tmp_path / "probe")
    assert [role.model for role in (probe.questioner, probe.answerer, probe.verifier)] == ["world"] * 3


def test_a_run_has_file_ledger_metrics_and_its_last_two_checkpoints(finished):
    assert [json.loads(line)["step"] for line in (finished / "metrics.jsonl").read_text().splitlines()] == [*range(5)]
    assert sorted(path.name for path in (finished / "checkpoints").iterdir()) == ["step-00000004", "step-00000005"]
    with Ledger(finished / "ledger.sqlite", read_only=True) as ledger:
        assert str(ledger.progress()[0]) == "probe: finished; train: 5 steps, last 4, 40 questions"


def test_three_calls_end_in_the_bytes_of_one(finished, tmp_path):
    folder = tmp_path / "run"
    assert train(folder, steps=1) == 0
    assert train(folder, "--set", "guards.window=3", steps=3) == 0
    assert train(folder, "--set", "k=2", steps=5) == 0
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert [event.text for event in ledger.events("probe", kind="resumed")] == ["at step 1", "at step 3"]
    assert same(folder, finished)


def test_a_finished_run_has_nothing_to_do(copy, capsys):
    before = (copy / "metrics.jsonl").read_bytes(), dump(copy / "ledger.sqlite")
    assert train(copy, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["steps"] == 5 and said["n_questions"] == 40 and said["answerer_calls"] > 0
    assert ((copy / "metrics.jsonl").read_bytes(), dump(copy / "ledger.sqlite")) == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--set", "seed=1"], "run 'probe' has another config: seed: expected 0, got 1"),
        (["--set", "k=3"], "run 'probe' has another config: k: expected 2, got 3"),
        (["--set", "training.reward=valid * wrong"], "has another config: training.reward: expected 'paper', got"),
        (["--set", "answerer.model=world:answerer"], "has another config: answerer.model: expected 'world', got"),
        (["--set", "answerer.faults=none.json"], "has another config: answerer.faults: expected '', got 'none.json'"),
        (["--set", "method=zero-shot"], "has another config: method: expected 'rl', got 'zero-shot'"),
        (["--from-step", "3"], "expected a checkpoint of step 3, got step-00000004, step-00000005"),
    ],
)
def test_other_settings_than_the_runs_are_named_and_change_nothing(copy, capsys, words, text):
    (copy / "none.json").write_text("[]")
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.suffix in (".yaml", ".jsonl")}
    assert run(copy, *words) == 2
    assert text in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.suffix in (".yaml", ".jsonl")} == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"steps": 0}, "budget.steps: input should be greater than or equal to 1, got 0"),
        ({"k": 9}, "[probe] k: expected at most 8 for the world's questioner, got 9"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0, got -1"),
        ({"training": {"learning_rate": 0}}, "training.learning_rate: input should be greater than 0, got 0"),
        ({"answerer": {"model": "world", "faults": "nowhere.json"}}, "expected a JSON file with faults, got none"),
        ({"answerer": "world:questioner"}, "answerer.model: expected world:NAME with one of answerer-small, "),
        ({"images": "."}, "questioner.model: expected no model of the embedded world for other pictures, got world"),
        ({"method": "zero-shot", "words": ["--from-step", "1"]}, "from_step: expected none where nothing is trained"),
    ],
)
def test_wrong_input_is_one_sentence_and_no_step_is_made(tmp_path, capsys, changes, text):
    words = changes.pop("words", [])
    folder = written(tmp_path / "run", **{"steps": 2, **changes})
    assert run(folder, *words) in (1, 2)  # 1 where the check says it, in its table
    assert text in capsys.readouterr().err
    if (folder / "ledger.sqlite").exists():
        with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
            assert ledger.runs() == []


def test_train_is_run_with_the_worlds_own_file(tmp_path, finished):
    folder = tmp_path / "run"
    sizes = ["--k", "2", "--group-size", "2", "--images-per-step", "2", "--pool", "4", "--checkpoint-every", "2"]
    words = ["train", "--run", str(folder), "--embedder", "hashed", "--quiet"]
    assert cli.main([*words, *sizes, "--steps", "3"]) == 0
    assert cli.main([*words, "--steps", "5"]) == 0
    assert same(folder, finished)
    assert cli.main([*words, "--seed", "1"]) == 2
    assert "images:" in (folder / "probe.yaml").read_text()


def test_a_checkpoint_cut_short_names_the_file_and_the_step_before_goes_on(copy, finished, capsys):
    weights = copy / "checkpoints" / "step-00000005" / "questioner" / "model.safetensors"
    os.truncate(weights, 1000)
    assert run(copy) == 2
    said = capsys.readouterr().err
    assert (
        f"{weights}: expected " in said
        and "bytes, got 1000. Put the file back, or load the one before it, step 4" in said
    )
    assert run(copy, "--from-step", "4") == 0
    assert same(copy, finished)


def test_a_ledger_of_a_newer_version_is_named(copy, capsys):
    with sqlite3.connect(copy / "ledger.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    assert run(copy) == 2
    assert f"[Ledger] {copy}/ledger.sqlite: expected schema " in (said := capsys.readouterr().err)
    assert ", got 99; " in said and "newer vlmprobe" in said


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("gone", [["ledger.sqlite"], ["ledger.sqlite", "lock", "metrics.jsonl"]])
def test_a_ledger_that_is_gone_beside_its_checkpoints_is_said_and_the_run_is_not_begun_anew(copy, capsys, gone):
    for name in [*gone, "ledger.sqlite-wal", "ledger.sqlite-shm"]:
        (copy / name).unlink(missing_ok=True)
    before = files(copy)
    for words in (["run"], ["rejudge", "--name", "a"], ["report"]):
        assert cli.main([words[0], str(copy), *words[1:]]) == 2
        said = capsys.readouterr().err
        assert f"{copy}/ledger.sqlite: expected the ledger of this run beside step-00000005, got none: put it" in said
    assert files(copy) == before


def test_the_folder_of_another_command_is_no_probe(tmp_path, capsys):
    (tmp_path / "demo").mkdir()
    with Ledger(tmp_path / "demo" / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="demo"))
    for words in (["rejudge", "--name", "x"], ["reweight", "--reward", "valid", "--name", "x"], ["run"]):
        assert cli.main([words[0], str(tmp_path / "demo"), *words[1:]]) == 2
        assert f"{tmp_path}/demo: expected a folder with probe.yaml, got none" in capsys.readouterr().err


def test_a_run_that_was_stopped_before_its_head_goes_on(tmp_path, finished, monkeypatch):
    folder = tmp_path / "run"
    monkeypatch.setattr(Ledger, "begin", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    assert train(folder, steps=5) == 130
    monkeypatch.undo()
    assert run(folder) == 0
    assert same(folder, finished)


def command(folder: Path, *, file_limit: int) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.run(
        [sys.executable, "-m", "vlmprobe", "run", str(folder)], capture_output=True, text=True,
        preexec_fn=limit, timeout=120, env=os.environ | {"PYTHONPATH": str(PYTHON), "OMP_NUM_THREADS": "1"},
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
    folder = written(tmp_path / "run", steps=5)
    done = command(folder, file_limit=limit)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"{folder}/{file}" in done.stderr.splitlines()[-1] and " room " in done.stderr.splitlines()[-1]
    assert list(folder.glob("checkpoints/*")) == []
    assert run(folder) == 0  # there is room again
    assert same(folder, finished)


def test_hints_with_a_gradient_follow_up_failures_and_a_run_that_goes_on_is_the_same(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    small = {"answerer": "world:answerer-novice-small", "images": {"source": "world", "n": 8}, "images_per_step": 4}
    changes = {"method": "hinted-rl", "group_size": 3, **small}
    assert train(whole, steps=4, **changes) == 0
    assert train(parts, steps=1, **changes) == 0
    assert train(parts, steps=4, **changes) == 0
    assert same(whole, parts)
    with Ledger(whole / "ledger.sqlite", read_only=True) as ledger:
        steps = [ledger.step("probe", "train", number) for number in range(4)]
    hints = [question.annotations.get("hint", "") for step in steps for question in step.questions]
    assert any(hint.startswith(FOLLOWED) for hint in hints) and any(not hint.startswith(FOLLOWED) for hint in hints)
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert any(row["changed"] > 0.5 for row in rows)
