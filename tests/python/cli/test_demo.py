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
import torch

from support.pages import Page
from vlmprobe import cli
from vlmprobe.ledger import AnswerRecord, Ledger, QuestionRecord, RecordedQuestions, RunRecord
from vlmprobe.methods.task import pool
from vlmprobe.studies.demo.experiment import Experiment, Settings, reward_name

PYTHON = Path(__file__).parents[3] / "python"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(PYTHON), os.environ.get("PYTHONPATH", "")])}
CALLS = 200
REWARD = "valid * wrong - 0.5 * invalid"
SHORT = ["--calls", str(CALLS), "--pictures", "64", "--embedder", "hashed"]
ARMS = ["default", "zero-shot", "paper"]


def demo(*words: str, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vlmprobe", "demo", *words]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, **more)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("demo") / "run"
    return folder, demo(*SHORT, "--reward", REWARD, "--run", str(folder))


@pytest.fixture(scope="module")
def summary(finished) -> dict:
    return json.loads((finished[0] / "summary.json").read_text())


@pytest.fixture(scope="module")
def page(finished) -> Page:
    return Page((finished[0] / "report.html").read_text())


def test_the_last_line_is_the_page_and_the_first_says_what_was_detected(finished, summary):
    folder, done = finished
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert lines[-1] == str(folder / "report.html")
    found = {name: arm["detected_10"] for name, arm in summary["arms"].items()}
    assert " ".join(lines[:3]).startswith(
        f"Of 15 planted faults the default way of asking detected {found['default']}, zero-shot {found['zero-shot']}, "
        f"the paper's reward {found['paper']} and the reward {REWARD} {found[REWARD]}, at the same {CALLS} answerer "
    )
    assert all(f"{name}: {CALLS} answerer calls" in done.stderr for name in found)


def test_all_ways_of_asking_made_as_many_calls_and_training_is_among_them(finished, summary):
    assert list(summary["arms"]) == [*ARMS, REWARD]
    with Ledger(finished[0] / "ledger.sqlite", read_only=True) as ledger:
        for name, arm in summary["arms"].items():
            tally = pool(ledger, name)
            answers = sum(question.answer is not None for _, question in tally.rows)
            assert arm["answerer_calls"] == answers == CALLS
            assert arm["questions_asked"] == len(tally.rows)
            trained = {phase for phase, _ in ledger.recorded_steps(name)} == {"train"}
            assert trained == (name in ("paper", REWARD))


def test_a_fault_is_detected_by_the_different_pairs_that_the_ledger_has(finished, summary):
    """Counted again here, from questions, verdicts and annotations alone."""
    with Ledger(finished[0] / "ledger.sqlite", read_only=True) as ledger:
        for name, arm in summary["arms"].items():
            pairs: dict[str, set] = {}
            after: dict[str, int] = {}
            calls = 0
            for image, question in pool(ledger, name).rows:
                calls += question.answer is not None
                fault = question.annotations.get("triggered")
                if fault and question.answer is not None and question.verdict.correct is False:
                    pairs.setdefault(fault, set()).add((image, question.text))
                    if len(pairs[fault]) == 10:
                        after.setdefault(fault, calls)
            assert {id: found["detected"] for id, found in arm["faults"].items() if found["detected"]} == {
                id: len(some) for id, some in pairs.items()
            }
            assert {id: found["calls_to_10"] for id, found in arm["faults"].items() if found["calls_to_10"]} == after
            assert arm["detected_10"] == len(after) and arm["curve"][-1][2] == len(after)
            assert arm["detected_3"] == sum(len(some) >= 3 for some in pairs.values())
    assert any(arm["detected_3"] for arm in summary["arms"].values())  # else the above says little


def test_the_summary_says_what_was_planted_and_asked_about(summary):
    assert {"planted", "reachable", "hints", "seconds", "calls", "pictures", "seed", "versions"} <= summary.keys()
    assert len(summary["planted"]) == 15 and summary["reachable"] == sum(
        fault["mass"] >= 0.0003 for fault in summary["planted"].values()
    )
    assert sum(hint["pulls"] for hint in summary["hints"]) >= 60 and summary["hints"][0]["judged"] > 0
    for arm in summary["arms"].values():
        low, high = arm["fdr_interval"]
        assert low <= arm["fdr"] <= high and 0 < arm["seconds"] < summary["seconds"] + 0.2
        for fault in arm["faults"].values():
            assert fault["reached"] >= fault["triggered"] >= fault["detected"] >= 0


def test_the_numbers_on_the_page_are_those_of_the_summary(finished, summary, page):
    text = page.text
    for arm in summary["arms"].values():
        assert f"of 15 planted faults detected {arm['questions_asked']} questions asked, {CALLS} answered" in text
        assert f"{100 * arm['fdr']:.1f} %" in text and f"{arm['distinct_failing_programs']}" in text
    for id, fault in summary["planted"].items():
        assert id in text and fault["effect"] in text
    for hint in summary["hints"][:30]:
        assert f"{hint['hint']} {hint['pulls']} {hint['judged']} {hint['failures']}" in text
    assert page.tags.count("svg") > 1 and page.tags.count("img") > 1
    source = (finished[0] / "report.html").read_text()
    assert "http://" not in source.replace("http://www.w3.org", "")


def test_the_gallery_is_of_the_default_and_begins_with_one_of_each_kind(finished, page):
    with Ledger(finished[0] / "ledger.sqlite", read_only=True) as ledger:
        failures = list(ledger.failures(run="default"))
    kinds = {row.annotations.get("triggered") or row.annotations["family"] for row in failures}
    assert f"One failure of each kind {len(kinds)} of default" in page.text
    for row in failures[:1]:
        assert f"{row.question} answered {row.answer} right {row.annotations['truth']}" in page.text


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


def test_a_run_without_a_question_has_no_page(tmp_path, capsys):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="default"))
    assert cli.main(["report", "--run", str(tmp_path)]) == 2
    assert "expected a run with questions, got none" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("ledger.sqlite")] == []


def test_equal_seeds_give_equal_ledgers_but_for_times(finished, tmp_path):
    def dump(folder: Path) -> list[str]:
        with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
            return list(ledger.dump())

    again = demo(*SHORT, "--reward", REWARD, "--run", str(tmp_path / "again"), "--json")
    assert dump(finished[0]) == dump(tmp_path / "again")
    assert json.loads(again.stdout)["report"] == str(tmp_path / "again" / "report.html")


def test_faults_of_a_file_and_another_answerer(tmp_path):
    """The tiny answerer has no planted faults but those of the file; this one is rarer than what can be reached."""
    file = tmp_path / "faults.json"
    when = {"family": "same", "shape": "star", "texture": "striped", "color": "purple", "num_objects": 6}
    file.write_text(json.dumps([{"id": "rare", "when": when, "effect": "other"}]))
    words = ["--calls", "20", "--pictures", "8", "--embedder", "hashed", "--run", str(tmp_path / "run")]
    done = demo("--answerer", "tiny", "--faults", str(file), *words)
    assert done.returncode == 0, done.stderr
    text = Page((tmp_path / "run" / "report.html").read_text()).text
    assert "Of 1 planted fault the default" in text and "0 of them can be expected to be reached" in text
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["answerer"].startswith("answerer+faults[")


def test_an_interrupted_run_says_how_far_it_came_and_leaves_a_readable_ledger(tmp_path):
    folder = tmp_path / "run"
    words = ["--calls", "100000", "--embedder", "hashed", "--run", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "vlmprobe", "demo", *words], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    assert any(line.endswith("default: 100,000 answerer calls\n") for line in process.stderr)  # the ledger is there
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and steps_of(folder) < 2:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    steps = steps_of(folder)
    assert steps >= 2
    assert f"default: stopped after step {steps}; the ledger so far:" in said
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert [str(line).split(";")[0] for line in ledger.progress()] == ["demo: interrupted", "default: interrupted"]
    assert cli.main(["report", "--run", str(folder)]) == 0
    assert "not finished" in Page((folder / "report.html").read_text()).text


def steps_of(folder: Path) -> int:
    """Recorded steps of the default way of asking."""
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return len(ledger.recorded_steps("default"))


def test_a_demo_takes_one_thread_and_gives_the_others_back(tmp_path, monkeypatch):
    seen = []

    def look(self):
        seen.append(torch.get_num_threads())
        raise ValueError("seen enough")

    monkeypatch.setattr(Experiment, "run", look)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert cli.main(["demo", "--embedder", "hashed", "--pictures", "2", "--run", str(tmp_path / "run")]) == 2
        assert seen == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "words, text",
    [
        (["--pictures", "0"], "[demo] pictures: expected at least 1, got 0"),
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
    done = demo("--embedder", "hashed", "--run", str(tmp_path))
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


@pytest.mark.parametrize("changes", [{"answerer": "oracle"}, {"pictures": 0}, {"calls": 0}])
def test_settings_are_checked(changes):
    with pytest.raises(ValueError, match=rf"^\[demo\] {next(iter(changes))}: expected"):
        Settings(**changes)
