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
from vlmprobe.models.roles import read_roles, roles
from vlmprobe.models.service import BudgetSpent
from vlmprobe.run.checkpoint import checkpoints, find

pytestmark = needs_chat_client
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
    answerer = {"model": "tiny", "endpoints": [{"url": url, "key_env": "VLMPROBE_TEST_KEY"}], **more}
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
    assert train(run, "--models", models(tmp_path / "models.json", server, revision="r1")) == 0
    came = seen_by(server)
    assert came["keys"] == [f"Bearer {KEY}"]
    with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
        used = ledger.spent("train", "answerer")
        grown = [json.loads(event.text) for event in ledger.events("train", kind="endpoint")]
        assert cli.main(["export", "--run", str(run), str(run / "all.jsonl")]) == 0
    assert (used.calls, used.prompt_tokens) == (came["requests"], 10 * came["requests"])
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
    assert train(tmp_path / "whole", "--models", models(tmp_path / "whole.json", server)) == 0
    whole, file = sent(server), tmp_path / "models.json"
    first = 7 * whole // 10
    run = tmp_path / "run"
    assert train(run, "--models", models(file, server, budget={"max_calls": first})) == 3
    assert "the budget of tiny" in capsys.readouterr().err
    assert sent(server) == whole + first  # to the last call
    made = int(find(run / "checkpoints").name.removeprefix("step-"))
    with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
        assert ledger.recorded_steps("train") == [("train", step) for step in range(made)]
    assert made % 2 == 1  # a step that --checkpoint-every would have passed over
    assert train(run, "--models", models(file, server, budget={"max_calls": first})) == 2
    assert f"answerer.budget.max_calls: expected more than {first}" in capsys.readouterr().err
    assert train(run, "--models", models(file, server, budget={"max_calls": first + 5})) == 3
    assert sent(server) == whole + first + 5  # the whole run's budget, not this call's
    assert train(run, "--models", models(file, server, budget={"max_calls": whole})) == 0
    assert sent(server) == 2 * whole
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


def test_a_dry_run_says_what_it_takes_and_does_nothing(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VLMPROBE_TEST_KEY", KEY)
    more = {"tokens": {"prompt": 100, "completion": 10}, "prices": {"prompt": 1.0, "completion": 2.0}}
    file = models(tmp_path / "models.json", server, **more)
    assert train(tmp_path / "run", "--models", file, "--dry-run") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["role", "calls", "prompt", "tokens", "completion", "tokens", "cost"]
    assert said[1].split() == ["answer", "32", "3,200", "320", "0.00"]  # 5 x 2 x 2 x 2 slots, 0.8 of them valid
    assert not (tmp_path / "run").exists() and sent(server) == 0
    assert train(tmp_path / "run", "--models", models(tmp_path / "models.json", server), "--dry-run") == 2
    assert 'answerer.tokens: expected {"prompt": n, "completion": n} of one call' in capsys.readouterr().err
    assert train(tmp_path / "run", "--dry-run") == 2
    assert "--dry-run: expected models behind endpoints" in capsys.readouterr().err


def test_another_model_behind_the_endpoint_does_not_go_on_with_the_run(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VLMPROBE_TEST_KEY", KEY)
    run = tmp_path / "run"
    assert train(run, "--steps", "1", "--models", models(tmp_path / "models.json", server)) == 0
    file = tmp_path / "other.json"
    file.write_text((tmp_path / "models.json").read_text().replace('"tiny"', '"other"'))
    before = (run / "run.json").read_text()
    assert train(run, "--steps", "2", "--models", str(file)) == 2
    assert "has another identities: answerer: expected 'tiny " in capsys.readouterr().err
    assert train(run, "--steps", "2") == 0  # the run's own models
    assert json.loads(before)["settings"]["models"]["answerer"]["model"] == "tiny"


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


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"answerer": {"model": "m", "endpoints": ["http://a/v1"], "budjet": {}}}, "'budjet'; did you mean budget?"),
        ({"answerer": {"model": "m", "endpoints": [{"url": "http://a/v1", "key": "sk-1"}]}}, "key_env"),
        ({"answerer": {"model": "m"}}, "answerer.endpoints: expected one, got none"),
        ({"answerer": {"model": "m", "endpoints": [{}]}}, "answerer.endpoints[0].url: expected one"),
        ({"answerer": {"model": "m", "endpoints": 3}}, "answerer.endpoints: expected a list of URLs, got 3"),
        ({"answerer": {"model": 3, "endpoints": ["a"]}}, "answerer.model: expected a text, got 3"),
        (
            {"verifier": {"model": "m", "endpoints": ["a"], "prices": {"prompt": 1}}},
            "prices.completion: expected a num",
        ),
        ({"verifier": {"model": "m", "endpoints": ["a"], "budget": {"max_cost": "9"}}}, "max_cost: expected a number"),
        (
            {"verifier": {"model": "m", "endpoints": ["a"], "tokens": {"prompt": 0, "completion": 1}}},
            "at least 1, got 0",
        ),
        ({"judge": {}}, "expected answerer, verifier, got 'judge'"),
        ([], "expected an object, got list"),
    ],
)
def test_a_wrong_file_of_models_is_named(content, text, tmp_path):
    file = tmp_path / "models.json"
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"^\[models\]") as caught:
        read_roles(file)
    assert text in str(caught.value) and "sk-1" not in str(caught.value)


WRONG = {
    "sampling": ({"temperature": "0"}, {"temperature": math.nan}, {"top_p": 2}, {"max_tokens": 1.5}, {"seed": 10**30}),
    "client": ({"deadline_s": "5"}, {"max_attempts": 10**30}, {"max_attempts": True}, {"schema": "no"}, {"extra": [1]}),
    "judge": ({"votes": 10**30}, {"votes": 10**9}, {"votes": "3"}, {"schema": "yes"}, {"more_tokens": "yes"}),
    "budget": ({"max_calls": math.inf}, {"max_calls": 10**30}),
    "prices": ({"prompt": 10**400, "completion": 1},),
}


@pytest.mark.parametrize(("part", "value"), [(part, value) for part, values in WRONG.items() for value in values])
def test_a_value_of_another_kind_is_named_with_its_field(part, value, tmp_path):
    file = tmp_path / "models.json"
    file.write_text(json.dumps({"verifier": {"model": "m", "endpoints": ["http://a/v1"], part: value}}))
    with pytest.raises(
        ValueError, match=rf"^\[models\] (verifier\.{part}\.{next(iter(value))}|.*models\.json): expected "
    ):
        read_roles(file)


def test_a_file_that_no_reader_can_take_is_one_sentence(tmp_path):
    file = tmp_path / "models.json"
    file.write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(ValueError, match=r"^\[models\] .*: expected "):
        read_roles(file)


def test_a_file_that_is_no_json_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"missing\.json: expected a JSON file with the models"):
        read_roles(tmp_path / "missing.json")


def test_a_role_has_what_the_file_says():
    content = {
        "verifier": {
            "model": "judge", "revision": "r", "endpoints": "http://a/v1", "sampling": {"max_tokens": 99},
            "judge": {"confirm": 2}, "budget": {"max_cost": 2.0}, "prices": {"prompt": 1e6, "completion": 0},
        }
    }  # fmt: skip
    role = roles(content)["verifier"]
    assert (role.sampling.max_tokens, role.sampling.temperature, role.judge) == (99, 0.6, {"confirm": 2})
    assert role.connect(spent=Spent(calls=1, prompt_tokens=1, completion_tokens=50)).identity == "judge@r"
    with pytest.raises(ValueError, match=r"verifier\.budget\.max_cost: expected more than 2, which the run has used"):
        role.connect(spent=Spent(calls=1, prompt_tokens=2, completion_tokens=0))


def test_a_run_is_judged_weighed_and_written_out_again(tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, "--answerer", "executing", "--steps", "3") == 0
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
