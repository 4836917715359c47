"""What a user sees whose server refuses, is not there, or says nothing of use; and how the run goes on afterwards."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
from pathlib import Path

import pytest

from support.chatting import needs_chat_client
from support.planned_server import fine, planned, refused, said
from support.tiny_runs import dump, whole_state
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.loop.report import StepReport, warnings_of
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply
from vlmprobe.run.checkpoint import checkpoints, find
from vlmprobe.run.directory import RunDirectory, versions
from vlmprobe.studies import arms
from vlmprobe.studies.plan import SMALL as SCALE
from vlmprobe.studies.plan import arms as arms_of
from vlmprobe.studies.plantedbench import settings as bench
from vlmprobe.studies.reproduce import ArmsFailed
from vlmprobe.studies.setup import WorldSetup
from vlmprobe.world.verifiers import OracleVerifier

pytestmark = needs_chat_client
SMALL = [
    *("--embedder", "hashed", "--k", "2", "--group-size", "2", "--images-per-step", "2", "--pool", "4"),
    *("--checkpoint-every", "2", "--steps", "2"),
]


@pytest.fixture
def server():
    with planned() as server:
        yield server


def models(path: Path, url: str, *, judge: str = "judge", answerer: bool = False, **client) -> str:
    roles = {"verifier": {"model": judge, "endpoint": url, "client": client}}
    if answerer:
        roles["answerer"] = {"model": "answers", "endpoint": url, "client": client}
    path.write_text(json.dumps(roles))
    return str(path)


def train(run: Path, *words: str) -> int:
    return cli.main(["train", "--run", str(run), *SMALL, *words])


def steps_of(run: Path) -> int:
    if not (run / "ledger.sqlite").exists():
        return 0
    with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
        return len(ledger.recorded_steps("probe"))


def without_calls(run: Path) -> list[str]:
    return [line for line in dump(run / "ledger.sqlite") if '"table": "calls"' not in line]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing stopped, with both models behind an endpoint."""
    folder = tmp_path_factory.mktemp("whole")
    with planned() as server:
        file = models(folder / "models.json", server.url, answerer=True)
        assert train(folder / "run", "--models", file) == 0
    return folder / "run"


BROKEN = {
    "credit": lambda model, text: refused(402, "Insufficient\ncredits"),
    "request": lambda model, text: refused(400, "Insufficient credits"),
    "only the answerer": lambda model, text: refused(403, "Insufficient credits") if model == "answers" else None,
    "no such server": lambda model, text: (200, b"<html>Insufficient credits</html>"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_server_that_breaks_in_mid_run_stops_it_and_put_right_it_ends_in_the_same_bytes(
    name, server, whole, tmp_path, capsys
):
    run = tmp_path / "run"
    server.plan = lambda model, text: (steps_of(run) and BROKEN[name](model, text)) or fine(model, text)
    quick = {"max_attempts": 2, "first_pause_s": 0.01, "deadline_s": 5.0}
    file = models(tmp_path / "models.json", server.url, answerer=True, **quick)
    assert train(run, "--models", file) == 4
    err = capsys.readouterr().err
    assert steps_of(run) == 1
    assert [path.name for path in checkpoints(run / "checkpoints")] == ["step-00000001"]
    role, model = ("answerer", "answers") if "only" in name else ("verifier", "judge")
    [line] = [line for line in err.splitlines() if line.startswith("vlmprobe train: ")]
    assert line.startswith(f"vlmprobe train: [{role}] {model} at {server.url}: expected a reply, got none to ")
    assert ("Insufficient credits" in line or name == "no such server") and "Traceback" not in err
    server.plan = fine
    assert train(run, "--models", file) == 0
    assert whole_state(find(run / "checkpoints")) == whole_state(find(whole / "checkpoints"))
    assert without_calls(run) == without_calls(whole)


def test_a_wrong_path_and_a_server_that_is_down_are_found_before_the_first_step(server, tmp_path, capsys):
    run = tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    wrong = {server.url.removesuffix("/v1"): "HTTP 404: Not Found", down: "connect"}
    for url, words in wrong.items():
        assert train(run, "--models", models(tmp_path / "models.json", url, deadline_s=0.5)) == 1
        err = capsys.readouterr().err
        assert words in err and "nothing was asked: put this right first" in err
    assert not (run / "ledger.sqlite").exists()
    assert train(run, "--models", models(tmp_path / "models.json", server.url)) == 0


def test_a_name_that_the_server_does_not_know_may_be_put_right_until_a_step_is_made(server, tmp_path, capsys):
    server.plan = lambda model, text: fine(model, text) if model == "judge" else refused(404, f"no model {model}")
    run, file = tmp_path / "run", tmp_path / "models.json"
    assert train(run, "--models", models(file, server.url, judge="jugde")) == 1
    assert "no model jugde" in capsys.readouterr().err
    words = ("--steps", "1", "--seed", "3")
    assert train(run, "--models", models(file, server.url), *words) == 0
    server.plan = fine
    assert train(run, "--models", models(file, server.url, judge="other"), *words) == 2
    assert "has another config: verifier.model: expected 'judge', got 'other'" in capsys.readouterr().err
    assert train(run, "--models", models(file, server.url), "--seed", "4") == 2
    assert "has another config: seed: expected 3, got 4" in capsys.readouterr().err


def test_settings_that_could_not_be_loaded_lock_no_folder(server, tmp_path, monkeypatch, capsys):
    run, file = tmp_path / "run", models(tmp_path / "models.json", server.url)
    keyed = tmp_path / "keyed.json"
    endpoint = {"url": server.url, "key_env": "VLMPROBE_NO_SUCH_KEY"}
    keyed.write_text(json.dumps({"verifier": {"model": "judge", "endpoint": endpoint}}))
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "validity.md").write_text("no mark for the question")
    for words in (
        ["--models", file, "--prompts", str(tmp_path / "promtps")],
        ["--models", file, "--prompts", str(prompts)],
        ["--models", str(tmp_path / "modles.json")],
        ["--models", str(keyed)],
        ["--models", file, "--faults", str(tmp_path / "fualts.json")],
    ):
        assert train(run, *words) in (1, 2)
        assert not (run / "ledger.sqlite").exists() or not steps_of(run)
        shutil.rmtree(run, ignore_errors=True)
    monkeypatch.setattr("vlmprobe.world.tiny.load", lambda name: (_ for _ in ()).throw(OSError("no weights")))
    assert train(run, "--models", file) == 2 and not steps_of(run)
    monkeypatch.undo()
    assert train(run, "--models", file, "--steps", "1") == 0


def test_refused_and_answered_calls_together_go_on_and_the_line_of_progress_says_so(server, tmp_path, capsys):
    judged = itertools.count()
    server.plan = lambda model, text: (
        fine(model, text) if model == "answers" or next(judged) <= 1 else refused(403, "no permission")
    )  # the first is asked by the check
    file = models(tmp_path / "models.json", server.url, answerer=True)
    assert train(tmp_path / "run", "--models", file, "--steps", "1") == 1  # no answer was judged
    err = capsys.readouterr().err
    assert "step 1: 8 questions, 12 % valid, 0 wrong answers (0 %), 1 calls, 100 % unscored" in err
    assert "step 1: warning: 7 of 8 verdicts on questions are missing (rejected 7); the server refuses" in err


def test_verdicts_that_are_all_cut_or_unreadable_are_warned_of_once_with_what_to_change(server, tmp_path, capsys):
    server.plan = lambda model, text: said("", finish_reason="length") if steps_of(run) < 2 else said("hm, well")
    run, file = tmp_path / "run", models(tmp_path / "models.json", server.url)
    assert train(run, "--models", file, "--steps", "3") == 4  # nothing of use in three steps
    err = capsys.readouterr().err
    cut = "step 1: warning: 8 of 8 verdicts on questions are missing (truncated 8); the reply was cut: raise max_tokens"
    assert cut in err and err.count("step 2: warning") == 0
    assert "step 3: warning: 8 of 8 verdicts on questions are missing (unparsable 8); no verdict could be read" in err
    assert "100 % unscored" in err and "vlmprobe train: [verifier] judge at " in err


def report(**changes) -> StepReport:
    numbers = {"loss": 0.0, "kl": 0.0, "entropy": 0.0, "clip_fraction": 0.0, "grad_norm": 0.0}
    counts = {"step": 0, "questions": 8, "posed": 8, "valid": 4, "asked": 4, "wrong": 1, "unscored": 0, "calls": 4}
    return StepReport(**{**counts, **numbers, "reward": 0.0, "terms": {}, "tokens": 1, **changes})


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, []),
        ({"failures": {"answer": {"timeout": 1}}}, []),
        ({"failures": {"answer": {"timeout": 1, "truncated": 1}}}, ["answer timeout"]),
        ({"failures": {"answer": {"truncated": 4}}}, ["answer truncated"]),
        ({"failures": {"correctness": {"empty": 4}}}, ["correctness empty"]),
        ({"failures": {"answer": {"refusal": 3}, "correctness": {"unparsable": 1}}},
         ["answer refusal", "correctness unparsable"]),
        ({"posed": 0, "valid": 0, "asked": 0}, ["no question"]),
        ({"valid": 0, "asked": 0}, ["none valid"]),
        ({"valid": 0, "asked": 0, "failures": {"validity": {"timeout": 1}}}, ["none valid"]),
        ({"valid": 0, "asked": 0, "failures": {"validity": {"a new kind": 8}}}, ["validity a new kind"]),
        ({"questions": 0, "posed": 0, "valid": 0, "asked": 0}, []),
    ],
)  # fmt: skip
def test_what_a_step_could_hardly_teach_anything_for_has_a_name(changes, kinds):
    assert list(warnings_of(report(**changes))) == kinds


def test_a_step_at_which_something_begins_to_fail_has_its_line(tmp_path, capsys):
    with RunDirectory(tmp_path / "run") as folder:
        for step in range(9):
            failures = (
                {"validity": {"truncated": 1}, "answer": {"truncated": 1, "timeout": step % 2}} if step > 4 else {}
            )
            folder.on_step(report(step=step, unscored=3 if failures else 0, failures=failures))
    lines = [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "step 6  valid 4/8  wrong 1 (25 %)  unscored 3 (truncated 2, timeout 1)  reward +0.000  KL 0.000",
        "step 6: warning: 2 of 4 answers are missing (truncated 1, timeout 1); the reply was cut: raise max_tokens of "
        "its sampling",
    ]


def test_rejudging_that_is_refused_is_no_success_and_keeps_what_was_judged(server, whole, tmp_path, capsys):
    run = shutil.copytree(whole, tmp_path / "run")
    words = ["rejudge", "--run", str(run), "--verifier", f"judge-2@{server.url}"]
    assert cli.main([*words, "--name", "first"]) == 0
    before = [line for line in dump(run / "ledger.sqlite") if '"judging_verdicts"' in line]
    server.plan = lambda *_: refused(400, "API key expired")
    capsys.readouterr()
    assert cli.main([*words, "--name", "second"]) == 4
    out, err = capsys.readouterr()
    assert out == "" and "vlmprobe rejudge: [verifier] judge-2 at " in err and "HTTP 400: API key expired" in err
    assert [line for line in dump(run / "ledger.sqlite") if '"judging_verdicts"' in line] == before
    server.plan = fine
    assert cli.main([*words, "--name", "second"]) == 0
    assert capsys.readouterr().out.startswith("2 steps judged")


class Down:
    """An answerer that no call reaches."""

    identity = "down"

    def answer(self, images, questions):
        return [Reply(failure=Failure.TRANSPORT, error="Connection refused")] * len(questions)


def test_a_demo_whose_answerer_is_down_ends_with_its_words(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "ExecutingAnswerer", Down)
    words = ["--calls", "4", "--embedder", "hashed", "--run", str(tmp_path / "run"), "--json"]
    assert cli.main(["demo", *words]) == 4
    out, err = capsys.readouterr()
    assert out == "" and "vlmprobe demo: [answerer] down+faults" in err and "Connection refused; the step" in err


class Mute(OracleVerifier):
    """An evaluator whose verdicts on answers cannot be read."""

    def correctness(self, images, questions, answers):
        return [Judgement(failure=Failure.UNPARSABLE)] * len(questions)


class Silent(OracleVerifier):
    """An evaluator that says nothing at all."""

    def validity(self, images, questions):
        return [Criteria(failure=Failure.EMPTY)] * len(questions)


@pytest.mark.parametrize(("evaluator", "what"), [(Mute, "8 answers"), (Silent, "8 questions")])
def test_an_arm_that_judged_nothing_is_not_done(evaluator, what, monkeypatch, tmp_path):
    sizes = {"pool": 2, "held_out": 2, "calls": 4, "n": 8, "equal_n": 4, "group_size": 2, "images_per_step": 2}
    scale = SCALE.changed(sizes)
    [arm] = [arm for arm in arms_of(scale, tables=(1,)) if arm.name == "random valid"]
    monkeypatch.setattr(WorldSetup, "evaluator", lambda *_: evaluator())
    words = rf"^\[reproduce\] random valid: expected verdicts of the evaluator, got none on {what}; what it said is in"
    with pytest.raises(RuntimeError, match=words):
        arms.run_arm(
            arm, WorldSetup(scale=scale, embedding="hashed"), scale, tmp_path / "arm", seed=0, versions=versions()
        )
    assert not arms.done(tmp_path / "arm")


def test_arms_that_failed_are_named_in_one_line_and_make_no_table(monkeypatch, tmp_path, capsys):
    def failing(*_, **__):
        raise ArmsFailed("[reproduce] 1 arms failed (SFT, seed 0); the same command goes on")

    monkeypatch.setattr("vlmprobe.cli.reproduce.run_all", failing)
    assert cli.main(["reproduce", "--run", str(tmp_path / "run"), "--embedder", "hashed"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "vlmprobe reproduce: [reproduce] 1 arms failed (SFT, seed 0); the same command goes on\n")
    assert not (tmp_path / "run" / "results.json").exists()
