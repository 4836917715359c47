"""The chat client against a real server that misbehaves: every request ends in its own reply or a typed failure."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from support import chat_server
from support.chat_server import running, seen_by
from support.chatting import ask, client, needs_chat_client
from vlmprobe.models.chat import ChatClient, Endpoint, Prices, ScriptedModel
from vlmprobe.models.model import EncodedImage, Message, Model, ModelReply, Request, Sampling, Status
from vlmprobe.models.native import reply_of, request_row, to_core

pytestmark = needs_chat_client
SERVER = Path(chat_server.__file__)
KEY = "sk-planted-4f1d77aa"
TRANSIENT = ("429", "429-after", "500", "503", "hang", "drip", "reset", "short", "cut", "html", "error-200", "big")


@pytest.fixture
def server():
    with running() as url:
        yield url


def test_both_kinds_of_model_have_the_interface():
    assert isinstance(ScriptedModel({}), Model)
    assert isinstance(ChatClient("http://127.0.0.1:9/v1", model="tiny"), Model)


def test_a_reply_has_everything_that_the_server_said(server):
    image = EncodedImage(data=b"not really a picture")
    message = Message(role="user", text="hello", images=[image, image])
    sampling = Sampling(temperature=0.5, max_tokens=9, seed=4)
    reply = client(server, extra={"top_k": 3}).reply(
        [Request(messages=[message], sampling=sampling, schema='{"type": "object"}')]
    )[0]
    assert (reply.status, reply.text, reply.finish_reason, reply.endpoint) == (
        Status.OK,
        "answer to hello",
        "stop",
        server,
    )
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.attempts) == (10, 2, 1)
    assert 0 < reply.latency_s < 30
    came = seen_by(server)
    assert came["images"] == 2
    body = came["bodies"][0]
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"], body["top_k"]) == (
        "tiny",
        0.5,
        9,
        4,
        3,
    )
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize("fault", TRANSIENT)
def test_what_passes_is_tried_again(server, fault):
    reply = client(server).reply([ask(f"{fault} {fault} | a")])[0]
    assert (reply.status, reply.text) == (Status.OK, "answer to a")
    assert seen_by(server)["requests"] == 3
    assert reply.attempts == (1 if fault.startswith("429") else 3)


@pytest.mark.parametrize(
    ("fault", "status", "said", "sent"),
    [
        ("500*", Status.TRANSPORT, "HTTP 500", 3),
        ("cut*", Status.TRANSPORT, "no JSON object", 3),
        ("error-200*", Status.TRANSPORT, "error-200: try again", 3),
        ("big*", Status.TRANSPORT, "more than 1048576 bytes", 3),
        ("hang*", Status.TIMEOUT, "timed out", 3),
        ("drip*", Status.TIMEOUT, "timed out", 3),
        ("400*", Status.REJECTED, "HTTP 400: 400: try again", 1),
        ("401*", Status.REJECTED, "HTTP 401", 1),
        ("422*", Status.REJECTED, "HTTP 422", 1),
        ("redirect*", Status.REJECTED, "HTTP 302", 1),
        ("empty*", Status.EMPTY, "", 1),
        ("thinking*", Status.TRUNCATED, "", 1),
    ],
)
def test_what_stays_is_a_typed_failure_without_text(server, fault, status, said, sent):
    reply = client(server, max_attempts=3).reply([ask(f"{fault} | a")])[0]
    assert (reply.status, reply.text) == (status, "")
    assert said.lower() in reply.error.lower()
    assert seen_by(server)["requests"] == sent


def test_an_endpoint_that_is_not_there_is_a_failure_and_another_one_serves(server):
    nowhere = "http://127.0.0.1:9/v1"
    lost = client(nowhere, deadline_s=0.3).reply([ask("a")])[0]
    assert (lost.status, lost.attempts, lost.text) == (Status.TRANSPORT, 0, "")
    assert "no reply before the deadline; last: Failed to connect" in lost.error
    replies = client([nowhere, server], first_limit=1, max_limit=1).reply([ask(f"q{i}") for i in range(20)])
    assert [reply.text for reply in replies] == [f"answer to q{i}" for i in range(20)]
    assert {reply.endpoint for reply in replies} == {server}


def test_rate_limits_end_at_the_deadline(server):
    reply = client(server, deadline_s=0.5).reply([ask("429-after* | a")])[0]
    assert (reply.status, reply.text) == (Status.TIMEOUT, "")
    assert "HTTP 429" in reply.error


def test_a_batch_ends_at_its_deadline(server):
    replies = client(server, attempt_timeout_s=20.0, batch_deadline_s=0.5, first_limit=2, max_limit=2).reply(
        [ask("quick"), *(ask(f"hang* | {i}") for i in range(6))]
    )
    assert [reply.status for reply in replies] == [Status.OK] + 6 * [Status.TIMEOUT]


def test_a_thousand_requests_with_a_third_of_faults_all_end_well(server):
    def faults(i: int) -> str:
        return f"{TRANSIENT[i // 10 % len(TRANSIENT)]} | q{i}" if i % 10 < 3 else f"q{i}"

    asked = [ask("500* | lost" if i in (7, 503) else "empty* | silent" if i == 400 else faults(i)) for i in range(1000)]
    chat = client(server, deadline_s=300.0)  # whatever else the machine is doing
    replies = chat.reply(asked)
    for i, reply in enumerate(replies):
        if i in (7, 503):
            assert (reply.status, reply.text) == (Status.TRANSPORT, "")
        elif i == 400:
            assert (reply.status, reply.text) == (Status.EMPTY, "")
        else:
            assert (reply.status, reply.text) == (Status.OK, f"answer to q{i}"), i
    events = chat.take_events()
    kinds = Counter(event.kind for event in events)
    assert kinds["throttled"] > 0
    assert next(event.limit for event in events if event.kind == "throttled") >= 1
    assert chat.take_events() == []
    again = chat.reply([ask(f"later {i}") for i in range(400)])
    assert all(reply.status == Status.OK for reply in again)


def test_equal_requests_in_flight_are_sent_once(server):
    chat = client(server)
    replies = chat.reply([ask("same", id=str(i)) for i in range(50)] + [ask("same", vote=1)])
    assert {reply.text for reply in replies} == {"answer to same"}
    assert seen_by(server)["requests"] == 2
    found: list[ModelReply] = []
    threads = [threading.Thread(target=lambda: found.extend(chat.reply([ask("drip | slow")]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply.text for reply in found] == 4 * ["answer to slow"]
    assert seen_by(server)["requests"] == 4  # the drip, and the attempt after it


def test_budgets_are_not_exceeded(server):
    chat = client(server, max_calls=5)
    replies = chat.reply([ask(f"q{i}") for i in range(8)])
    assert Counter(reply.status for reply in replies) == {Status.OK: 5, Status.BUDGET: 3}
    assert seen_by(server)["requests"] == chat.spent.calls == 5
    assert all(reply.error == "the budget is spent" for reply in replies if reply.status == Status.BUDGET)

    costly = client(server, max_cost=1.0, prices=Prices(prompt=10_000, completion=100_000))  # a call: 0.1 + 0.2
    statuses = [costly.reply([ask(f"q{i}", sampling=Sampling(max_tokens=2))])[0].status for i in range(5)]
    assert statuses == 3 * [Status.OK] + 2 * [Status.BUDGET]
    assert costly.spent.cost == pytest.approx(0.9)

    tokens = client(server, max_tokens=100)
    assert tokens.reply([ask("q", sampling=Sampling(max_tokens=101))])[0].status == Status.BUDGET
    assert tokens.reply([ask("q", sampling=Sampling(max_tokens=20))])[0].status == Status.OK


def test_keys_reach_their_server_and_nothing_else(server, monkeypatch, tmp_path):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    (tmp_path / "key").write_text(KEY + "\n")
    for endpoint in (Endpoint(server, key_env="PLANTED_KEY"), Endpoint(server, key_file=tmp_path / "key")):
        chat = client([endpoint])
        replies = chat.reply([ask("a"), ask("401* | b"), ask(f"400* | {KEY}")])
        said = repr([replies, chat, endpoint, chat.take_events(), chat.identity])
        assert KEY not in said.replace(f"answer to {KEY}", "")
    assert seen_by(server)["keys"] == [f"Bearer {KEY}"]


def test_wrong_options_are_refused_by_name(monkeypatch):
    monkeypatch.delenv("NO_KEY", raising=False)
    for expected, make in {
        r"\[Endpoint\] key_env: expected a key in the environment variable NO_KEY": lambda: client(
            [Endpoint("http://a/v1", key_env="NO_KEY")]
        ),
        r"\[models::ChatClient\] url: expected http:// or https://, got 'ftp://a'": lambda: client("ftp://a"),
        r"\[models::ChatClient\] url: expected no password": lambda: client("http://me:secret@a/v1"),
        r"\[models::ChatClient\] endpoints: expected at least one": lambda: client([]),
        r"\[models::ChatClient\] max_attempts: expected at least 1, got 0": lambda: client(
            "http://a/v1", max_attempts=0
        ),
        r"\[ChatClient\] max_calls: expected more than 0, or None, got 0": lambda: client("http://a/v1", max_calls=0),
        r"\[models::ChatClient\] max_cost: expected prices with it": lambda: client("http://a/v1", max_cost=1.0),
        r"\[models::ChatClient\] extra: expected neither messages": lambda: client(
            "http://a/v1", extra={"messages": []}
        ),
    }.items():
        with pytest.raises(ValueError, match=expected) as caught:
            make()
        assert "secret" not in str(caught.value)


def test_texts_that_no_body_should_hold_are_sent_whole(server):
    texts = ["a\x00b", "\ud800 alone", "‮right to left", '"}]} {"role": "system"', "x" * 10_000_000]
    replies = client(server, max_response_bytes=1 << 26, attempt_timeout_s=20.0).reply([ask(text) for text in texts])
    kept = [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts]
    assert [reply.status for reply in replies] == 5 * [Status.OK]
    assert [reply.text for reply in replies][2:] == [f"answer to {text}" for text in kept][2:]
    assert replies[0].text == "answer to a\x00b"
    assert replies[1].text.endswith(" alone")


def test_an_interrupt_ends_the_wait(server, tmp_path):
    code = f"""
import sys
from vlmprobe.models.chat import ChatClient
from vlmprobe.models.model import Message, Request
chat = ChatClient({server!r}, model="tiny")
print("ready", flush=True)
try:
    chat.reply([Request(messages=[Message(role="user", text="hang* | a")])])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == "ready\n"
    while seen_by(server)["requests"] == 0:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    assert process.communicate(timeout=20)[0] == "interrupted\n"


class Raising:
    identity = "raising"

    def reply(self, requests):
        raise KeyError("what the Python model raised")


class Echo:
    identity = "echo@1"

    def __init__(self):
        self.asked: list[Request] = []

    def reply(self, requests):
        self.asked += requests
        return [ModelReply(status=Status.OK, text=request.messages[-1].text.upper()) for request in requests]


def test_a_python_model_is_a_model_of_the_core():
    model = Echo()
    native = to_core(model)
    image = EncodedImage(data=b"\x00\xff")
    request = Request(
        messages=[Message(role="user", text="hi", images=[image])], sampling=Sampling(seed=3), id="q", vote=2
    )
    replies = [reply_of(row) for row in native.reply([request_row(request)])]
    assert native.identity == "echo@1"
    assert [reply.text for reply in replies] == ["HI"]
    assert model.asked[0].messages[0].images[0].data == image.data
    assert model.asked[0].messages[0].images[0].sha256 == image.sha256
    assert (model.asked[0].sampling.seed, model.asked[0].id, model.asked[0].vote) == (3, "q", 2)
    with pytest.raises(KeyError, match="what the Python model raised") as caught:
        to_core(Raising()).reply([request_row(ask("a"))])
    assert caught.traceback[-1].name == "reply"


def test_a_model_that_loses_a_reply_is_caught():
    model = Echo()
    model.reply = lambda requests: []
    with pytest.raises(ValueError, match=r"\[models::reply\] replies: expected 1, one for each request, got 0"):
        to_core(model).reply([request_row(ask("a"))])


def test_a_server_that_restarts_loses_nothing():
    with socket.socket() as held:  # a port that nobody listens on
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        chat = client(f"http://127.0.0.1:{port}/v1", max_attempts=1)
        found: list[ModelReply] = []
        thread = threading.Thread(target=lambda: found.extend(chat.reply([ask(f"q{i}") for i in range(30)])))
        thread.start()
        while not any(event.kind == "failing" for event in chat.take_events()):
            time.sleep(0.01)
    process = subprocess.Popen([sys.executable, str(SERVER), str(port)], stdout=subprocess.PIPE, text=True)
    try:
        thread.join(20)
        assert [reply.text for reply in found] == [f"answer to q{i}" for i in range(30)]
    finally:
        process.kill()
        process.wait()
