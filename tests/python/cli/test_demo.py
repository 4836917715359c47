"""The demo as a user runs it: a process, its files, its last line, its errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vlmprobe import cli
from vlmprobe.ledger import AnswerRecord, Ledger, QuestionRecord, RecordedQuestions, RunRecord
from vlmprobe.studies.demo.experiment import Settings, reward_name

PYTHON = Path(__file__).parents[3] / "python"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(PYTHON)}
SHORT = ["--steps", "2", "--calls", "60", "--embedder", "hashed"]
KEYS = {
    *("n_questions", "n_valid", "n_unscored", "qvr", "fdr", "qvr_interval", "fdr_interval", "vendi", "vendi_n"),
    *("prefix_entropy", "prefix_entropy_normalized", "distinct_failures", "effective_families"),
    *("effective_failure_families", "duplicates", "answerer_calls", "faults"),
}


def demo(*words: str, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vlmprobe", "demo", *words]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("demo") / "run"
    return folder, demo(*SHORT, "--reward", "valid * wrong - 0.5 * invalid", "--run", str(folder))


def test_the_last_line_is_the_page(finished):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder / "report.html")
    assert "step 2/2" in done.stderr and "FDR %" in done.stdout
    page = (folder / "report.html").read_text()
    assert "data:image/png" in page and "http://" not in page.replace("http://www.w3.org", "")


def test_the_summary_has_evaluations_and_arms_at_equal_calls(finished):
    folder, _ = finished
    summary = json.loads((folder / "summary.json").read_text())
    assert {"before", "after", "arms", "seconds", "seed", "steps", "versions"} <= summary.keys()
    assert summary["before"].keys() >= KEYS and summary["after"]["answerer_calls"] == 60
    arms = summary["arms"]
    assert set(arms) == {"zero-shot", "paper", "valid * wrong - 0.5 * invalid"}
    assert len({arm["answerer_calls"] for arm in arms.values()}) == 1
    for numbers in (summary["before"], *arms.values()):
        assert len(numbers["faults"]) >= 12
        for fault in numbers["faults"].values():
            assert fault["reached"] >= fault["triggered"] >= fault["detected"] >= 0 and 0 < fault["mass"] < 0.1
        low, high = numbers["qvr_interval"]
        assert low <= numbers["qvr"] <= high and numbers["n_questions"] >= numbers["n_valid"] > 0


def test_the_run_directory_holds_ledger_metrics_and_checkpoint(finished):
    folder, _ = finished
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert {run.id for run in ledger.runs()} >= {"before", "after", "zero-shot", "train paper"}
        assert "interrupted" not in "".join(map(str, ledger.progress()))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    asked = "train valid * wrong - 0.5 * invalid"
    assert [(line["stage"], line["step"]) for line in lines] == [
        *((asked, 0), (asked, 1)),
        *(("train paper", 0), ("train paper", 1)),
    ]
    assert lines[0]["questions"] == 192
    assert (folder / "checkpoints" / "step-00000002" / "questioner" / "model.safetensors").is_file()


def test_everything_that_is_shown_comes_from_the_ledger(finished, tmp_path, capsys):
    folder, _ = finished
    files = [folder / name for name in ("report.html", "summary.json")]
    before = [file.read_bytes() for file in files]
    again = tmp_path / folder.name
    again.mkdir()
    shutil.copy(folder / "ledger.sqlite", again)
    assert cli.main(["report", "--run", str(again)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(again / "report.html")
    summaries = [json.loads((path / "summary.json").read_text()) for path in (folder, again)]
    assert [summary.pop("report") for summary in summaries] == [str(files[0]), str(again / "report.html")]
    assert summaries[0] == summaries[1]
    assert (again / "report.html").read_bytes() == before[0]
    assert cli.main(["report", "--run", str(folder)]) == 0
    assert [file.read_bytes() for file in files] == before


def test_another_runs_ledger_has_no_demo_to_report(tmp_path, capsys):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="before"))
    assert cli.main(["report", "--run", str(tmp_path)]) == 2
    assert "expected the ledger of a finished demo, got before" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("ledger.sqlite")] == []


def test_equal_seeds_give_equal_ledgers_but_for_times(tmp_path):
    def dump(name: str) -> list[str]:
        assert demo(*SHORT, "--run", str(tmp_path / name)).returncode == 0
        with Ledger(tmp_path / name / "ledger.sqlite", read_only=True) as ledger:
            return list(ledger.dump())

    assert dump("a") == dump("b")


def test_an_interrupted_run_says_how_far_it_came_and_leaves_a_readable_ledger(tmp_path):
    folder = tmp_path / "run"
    words = ["--steps", "1000", "--calls", "30", "--embedder", "hashed", "--run", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "vlmprobe", "demo", *words], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    deadline = time.monotonic() + 120
    metrics = folder / "metrics.jsonl"
    while time.monotonic() < deadline and not (metrics.is_file() and metrics.read_text().count("\n") >= 2):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "train paper: stopped after step" in said and "the ledger so far:" in said
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        [training] = [line for line in map(str, ledger.progress()) if line.startswith("train paper")]
        assert "interrupted" in training and len(ledger.steps("train")) >= 2


@pytest.mark.parametrize(
    "words, text",
    [
        (["--steps", "0"], "[demo] steps: expected at least 1, got 0"),
        (["--seed", "-1"], "[demo] seed: expected 0 to 2**32 - 1, got -1"),
        (["--calls", "0"], "[demo] calls: expected at least 1, got 0"),
        (["--faults", "nowhere.json"], "[load_faults] nowhere.json: expected a JSON file with faults, got none"),
        (["--reward", "papr"], "paper"),
        (["--answerer", "oracle"], "invalid choice: 'oracle'"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(words, text, tmp_path):
    done = demo(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert text in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_fault_file_with_an_unknown_feature_names_the_fault(tmp_path):
    file = tmp_path / "faults.json"
    file.write_text('[{"id": "bad", "when": {"colour": "red"}, "effect": "other"}]')
    done = demo("--faults", str(file), cwd=tmp_path)
    assert done.returncode == 2
    assert "fault bad: expected a feature among family, answer," in done.stderr and "got colour" in done.stderr


def test_a_folder_with_something_in_it_is_not_overwritten(tmp_path):
    (tmp_path / "kept").write_text("mine")
    done = demo("--run", str(tmp_path))
    assert done.returncode == 2 and "expected a new or empty folder" in done.stderr
    assert (tmp_path / "kept").read_text() == "mine"


def test_a_formula_that_spells_equation_5_is_the_paper():
    assert reward_name("0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid") == "paper"
    assert reward_name("valid * wrong") == "valid * wrong"


def test_a_cut_stops_right_after_its_last_call():
    tally = RecordedQuestions()
    for number in range(6):
        answer = AnswerRecord(answerer="a", text="yes") if number % 2 else None
        tally.append(0, QuestionRecord(sequence=0, slot=number, status="ok", text=str(number), answer=answer))
    assert [q.text for _, q in tally.first(2).rows] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("changes", [{"k": 9}, {"answerer": "oracle"}, {"pool": 0}, {"held_out": 0}])
def test_settings_are_checked(changes):
    with pytest.raises(ValueError, match=rf"^\[demo\] {next(iter(changes))}: expected"):
        Settings(**changes)
