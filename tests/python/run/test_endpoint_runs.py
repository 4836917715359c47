"""Runs whose answerer is behind an endpoint: nothing is paid for twice, budgets stop them cleanly, keys stay out."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from support.chat_server import running, seen_by
from support.chatting import needs_chat_client
from support.tiny_runs import dump, make, whole_state
from vlmprobe import cli
from vlmprobe.ledger import CachedModel, Ledger, RecordedModel, RunRecord
from vlmprobe.models.chat import ChatClient, Spent
from vlmprobe.models.judges import ModelAnswerer
from vlmprobe.models.model import Message, Request, Status
from vlmprobe.models.replies import Failure
from vlmprobe.models.service import BudgetSpent
from vlmprobe.probe.build import left_of, sampling_of
from vlmprobe.probe.roles import Verifier
from vlmprobe.run.checkpoint import checkpoints, find

pytestmark = needs_chat_client
NONE_JUDGED = 1  # the exit code of a run in which no answer was; the server says nothing that the world understands
KEY = "sk-planted-93c2e0b7d1"
SMALL = [
    *("--embedder", "hashed", "--k", "2", "--group-size", "2", "--images-per-step", "2", "--pool", "4"),
    *("--checkpoint-every", "2", "--steps", "5"),
]


@pytest.fixture
def server():
    with running() as url:
        yield url


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="run"))
        ledger.at("run", "train", 0)
        yield ledger


def models(path: Path, url: str, **more) -> str:
    answerer = {"model": "tiny", "endpoint": url, "key_env": "VLMPROBE_TEST_KEY", **more}
    path.write_text(json.dumps({"answerer": answerer}))
    return str(path)


def train(run: Path, *words: str) -> int:
    return cli.main(["train", "--run", str(run), *SMALL, *words])


def sent(url: str) -> int:
    return seen_by(url)["requests"]


def without_calls(run: Path) -> list[str]:
    return [line for line in dump(run / "ledger.sqlite") if '"table": "calls"' not in line]


def client(url: str, **options) -> ChatClient:
    quick = {"attempt_timeout_s": 0.6, "deadline_s": 30.0, "first_pause_s": 0.01}
    return ChatClient(url, model="tiny", **quick | options)


def ask(text: str) -> Request:
    return Request(messages=[Message(role="user", text=text)])


def test_a_run_keeps_its_calls_its_judge_and_its_concurrency_and_never_the_key(server, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("VLMPROBE_TEST_KEY", KEY)
    run = tmp_path / "run"
    assert train(run, "--models", models(tmp_path / "models.json", server, revision="r1")) == NONE_JUDGED
    came = seen_by(server)
    assert came["keys"] == [f"Bearer {KEY}"]
    with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
        used = ledger.spent("probe", "answerer")
        grown = [json.loads(event.text) for event in ledger.events("probe", kind="endpoint")]
        assert cli.main(["export", "--run", str(run), str(run / "all.jsonl")]) == 0
    calls = came["requests"] - 1  # one is the check's
    assert (used.calls, used.prompt_tokens) == (calls, 10 * calls)
    assert grown and all((e["kind"], e["role"], e["endpoint"]) == ("grew", "answerer", server) for e in grown)
    assert [e["limit"] for e in grown] == sorted(e["limit"] for e in grown)
    with sqlite3.connect(run / "ledger.sqlite") as db:
        row = db.execute(
            "SELECT revision, length(prompt_sha256), sampling FROM judges WHERE role = 'answerer'"
        ).fetchone()
    assert row[:2] == ("r1", 64) and json.loads(row[2])["max_tokens"] == 256
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 10
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []
    assert KEY not in "".join(capfd.readouterr())


def test_a_budget_stops_a_run_with_a_checkpoint_and_more_of_it_goes_on_at_no_extra_cost(
    server, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("VLMPROBE_TEST_KEY", KEY)
    assert train(tmp_path / "whole", "--models", models(tmp_path / "whole.json", server)) == NONE_JUDGED
    whole, file = sent(server) - 1, tmp_path / "models.json"  # one is the check's, of each run
    first = 7 * whole // 10
    run = tmp_path / "run"
    assert train(run, "--models", models(file, server, client={"max_calls": first})) == 3
    assert "the budget of tiny" in capsys.readouterr().err
    assert sent(server) == whole + first + 2  # to the last call
    made = int(find(run / "checkpoints").name.removeprefix("step-"))
    with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
        assert ledger.recorded_steps("probe") == [("train", step) for step in range(made)]
    assert made % 2 == 1  # a step that --checkpoint-every would have passed over
    assert train(run, "--models", models(file, server, client={"max_calls": first})) == 2
    assert f"client.max_calls of tiny: expected more than {first}" in capsys.readouterr().err
    assert train(run, "--models", models(file, server, client={"max_calls": first + 5})) == 3
    assert sent(server) == whole + first + 5 + 4  # the whole run's budget, not this call's
    assert train(run, "--models", models(file, server, client={"max_calls": whole})) == NONE_JUDGED
    assert sent(server) == 2 * whole + 5
    assert whole_state(find(run / "checkpoints")) == whole_state(find(tmp_path / "whole" / "checkpoints"))
    assert without_calls(run) == without_calls(tmp_path / "whole")


def test_the_budget_is_the_trainers_error_and_leaves_it_before_the_step(server, tmp_path):
    answerer = ModelAnswerer(client(server, max_calls=20))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        trainer = make(answerer=answerer, ledger=ledger)
        with pytest.raises(
            BudgetSpent, match=r"^\[examine\] the budget of tiny .* is spent, \d+ of \d+ calls were not"
        ):
            trainer.train(9)
        assert [number for _, number in ledger.recorded_steps("run")] == [*range(trainer.next_step)]
        assert ledger.spent("run", "answerer").calls == 20 == sent(server)
        saved = trainer.save(tmp_path / "checkpoints")
    assert checkpoints(tmp_path / "checkpoints") == [saved]


def test_another_model_behind_the_endpoint_does_not_go_on_with_the_run(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VLMPROBE_TEST_KEY", KEY)
    run = tmp_path / "run"
    assert train(run, "--steps", "1", "--models", models(tmp_path / "models.json", server)) == NONE_JUDGED
    file = tmp_path / "other.json"
    file.write_text((tmp_path / "models.json").read_text().replace('"tiny"', '"other"'))
    assert train(run, "--steps", "2", "--models", str(file)) == 2
    assert "has another config: answerer.model: expected 'tiny', got 'other'" in capsys.readouterr().err
    assert train(run, "--steps", "2") == NONE_JUDGED  # the run's own models


def test_replies_are_in_the_ledger_before_the_batch_is_over(server, ledger):
    model = RecordedModel(client(server, attempt_timeout_s=4.0, max_attempts=1), ledger, role="answerer")
    replies = []
    waiting = threading.Thread(target=lambda: replies.extend(model.reply([ask("quick"), ask("hang* | slow")])))
    waiting.start()
    deadline = time.monotonic() + 3.5
    while ledger.spent("run", "answerer").calls == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert waiting.is_alive() and ledger.spent("run", "answerer").calls == 1
    waiting.join()
    assert [reply.status for reply in replies] == [Status.OK, Status.TIMEOUT]


def test_what_was_asked_again_has_cost_twice(server, ledger):
    model = RecordedModel(client(server, max_attempts=2), ledger, role="answerer")
    assert model.reply([ask("500 500 | a")])[0].status == Status.TRANSPORT
    assert model.reply([ask("500 500 | a")])[0].status == Status.OK
    assert ledger.spent("run", "answerer") == Spent(calls=3, prompt_tokens=10, completion_tokens=2)


def test_cached_and_recorded_at_once(server, ledger, tmp_path):
    with CachedModel(client(server), tmp_path / "replies.sqlite") as cached:
        model = RecordedModel(cached, ledger, role="answerer")
        first = model.reply([ask(str(i)) for i in range(50)])
        ledger.at("run", "train", 1)
        again = model.reply([ask(str(i)) for i in range(60)])
    assert [reply.text for reply in again[:50]] == [reply.text for reply in first]
    assert sent(server) == 60 and len(ledger.events("run", kind="endpoint")) > 0


def test_a_thousand_faulty_requests_are_no_failures_of_the_answerer_and_their_curve_is_in_the_ledger(server, ledger):
    names = ("429", "429-after", "500", "503", "drip", "reset", "short", "cut", "html", "error-200")
    faults = [f"{names[i // 10 % len(names)]} | q{i}" if i % 10 < 3 else f"q{i}" for i in range(1000)]
    faults[7] = "500* | lost"
    model = RecordedModel(client(server, max_attempts=3, deadline_s=300.0), ledger, role="answerer")
    replies = model.reply([ask(text) for text in faults])
    texts = [None if reply.status is not Status.OK else reply.text for reply in replies]
    assert texts == [None if i == 7 else f"answer to q{i}" for i in range(1000)]
    assert Failure(replies[7].status) is Failure.TRANSPORT
    for i in range(4):  # and now all is well
        time.sleep(1.1)
        model.reply([ask(f"later {i} {j}") for j in range(300)])
    curve = [json.loads(event.text) for event in ledger.events("run", kind="endpoint")]
    assert [event["time_s"] for event in curve] == sorted(event["time_s"] for event in curve)
    lowest = min(event["limit"] for event in curve if event["kind"] == "throttled")
    assert curve[-1]["kind"] == "grew" and curve[-1]["limit"] > lowest


AT = {"model": "m", "endpoint": "http://a/v1"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"answerer": {**AT, "budjet": {}}},
            "answerer.budjet: expected one of model",
        ),
        (
            {"answerer": {"model": "m", "endpoint": {"url": "http://a/v1", "key": "sk-1"}}},
            "did you mean key_env?",
        ),
        ({"answerer": {"model": "m", "endpoint": [{}]}}, "url: expected a value, got none"),
        ({"answerer": {"model": "m", "endpoint": 3}}, "answerer.endpoint: input should be a valid list, got int"),
        (
            {"answerer": {"model": 3, "endpoint": "http://a/v1"}},
            "answerer.model: input should be a valid string, got 3",
        ),
        ({"verifier": {**AT, "prices": {"prompt": -1}}}, "verifier.prices.prompt: "),
        (
            {"verifier": {**AT, "client": {"max_cost": "x"}}},
            "client.max_cost: input",
        ),
        (
            {"verifier": {**AT, "client": {"extra": [1]}}},
            "client.extra: input should",
        ),
        (
            {"verifier": {**AT, "votes": 10**9}},
            "verifier.votes: input should be less",
        ),
        ({"verifier": {**AT, "temperature": math.nan}}, "expected finite numbers"),
        ({"judge": {}}, "judge: expected one of images, questioner"),
        ([], "expected an object, got list"),
    ],
)
def test_a_wrong_file_of_models_is_named(content, text, tmp_path, capsys):
    file = tmp_path / "models.json"
    file.write_text(json.dumps(content))
    assert train(tmp_path / "run", "--models", str(file)) == 2
    said = capsys.readouterr().err
    assert said.startswith("vlmprobe train: [") and text in said and "sk-1" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "{", None])
def test_a_file_of_models_that_no_reader_can_take_is_one_sentence(text, tmp_path, capsys):
    file = tmp_path / "models.json"
    if text is not None:
        file.write_text(text)
    assert train(tmp_path / "run", "--models", str(file)) == 2
    assert "models.json: expected " in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_role_has_what_the_file_says():
    role = Verifier(
        model="judge", revision="r", endpoint=["http://a/v1", {"url": "http://b/v1", "key_env": "B"}], key_env="A",
        max_tokens=99, confirm=2, client={"max_cost": 2.0}, prices={"prompt": 1e6},
    )  # fmt: skip
    assert [(server.url, server.key_env) for server in role.servers] == [("http://a/v1", "A"), ("http://b/v1", "B")]
    sampling = sampling_of("verifier", role)
    assert (sampling.max_tokens, sampling.temperature, role.confirm) == (99, 0.6, 2)
    assert left_of(role, Spent(calls=1, prompt_tokens=1, completion_tokens=50)) == {"max_cost": 1.0}
    with pytest.raises(ValueError, match=r"client\.max_cost of judge: expected more than 2, which the run has used"):
        left_of(role, Spent(calls=1, prompt_tokens=2, completion_tokens=0))


def test_a_run_is_judged_weighed_and_written_out_again(tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, "--steps", "3") == 0
    before = dump(run / "ledger.sqlite")
    capsys.readouterr()
    assert cli.main(["rejudge", "--run", str(run), "--name", "oracle again"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("3 steps judged by ") and said[-1] == (
        "of 24 questions, 0 differ in validity and 0 in correctness"
    )
    assert said[2].split("own")[1].strip() == said[3].split("again")[1].strip()
    assert cli.main(["rejudge", "--run", str(run), "--name", "oracle again"]) == 0
    assert capsys.readouterr().out.startswith("0 steps judged")
    assert cli.main(["reweight", "--run", str(run), "--name", "plain", "--reward", "valid * wrong"]) == 0
    means = [float(line.split("mean: ")[1].split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert 0 <= means[1] <= 1 and means[0] != means[1]
    assert [line for line in dump(run / "ledger.sqlite") if '"table": "judging' not in line] == before
    assert cli.main(["export", "--run", str(run), str(tmp_path / "all.jsonl")]) == 0
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 24
    shutil.rmtree(run)
    for command in (
        ["rejudge", "--name", "a"],
        ["reweight", "--name", "a", "--reward", "valid"],
        ["export", "a.jsonl"],
    ):
        assert cli.main([command[0], "--run", str(run), *command[1:]]) == 2
        assert "expected the folder of a run" in capsys.readouterr().err
    assert not run.exists()
