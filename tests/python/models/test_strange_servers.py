"""Servers that say one thing and then another, redirect, answer twice, or speak of budgets that are nearly spent."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from typing import BinaryIO

import pytest

from support.chat_server import running
from support.chatting import ask, client, needs_chat_client
from support.planned_server import planned, refused, said
from vlmprobe.models.chat import Prices
from vlmprobe.models.model import Status

pytestmark = needs_chat_client


def events(*choices: dict) -> bytes:
    lines = [json.dumps({"choices": [{"index": 0, **choice}]}) for choice in choices]
    return "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()


def streamed(*choices: dict) -> tuple[Status, str]:
    with planned() as server:
        server.plan = lambda model, text: (200, events(*choices))
        got = client(server.url, max_attempts=1).reply([ask("a")])[0]
    return got.status, got.text


def test_a_stream_of_texts_and_parts_is_joined_in_order():
    parts = [{"type": "text", "text": "black "}]
    cut = streamed({"delta": {"content": "a "}}, {"delta": {"content": parts}}, {"delta": {"content": "cat"}})
    assert cut[0] is not Status.OK  # without an end
    end = {"delta": {"content": "cat"}, "finish_reason": "stop"}
    assert streamed({"delta": {"content": "a "}}, {"delta": {"content": parts}}, end) == (Status.OK, "a black cat")


@pytest.mark.parametrize(("bad", "status"), [("length", Status.TRUNCATED), ("content_filter", Status.REFUSAL)])
def test_an_end_of_a_stream_is_not_mended_by_a_later_one(bad, status):
    cut = {"delta": {"content": "a"}, "finish_reason": bad}
    assert streamed(cut, {"delta": {}, "finish_reason": "stop"})[0] is status


def test_a_stream_of_somebody_else_is_no_answer():
    user = {"delta": {"role": "user", "content": "a"}, "finish_reason": "stop"}
    assert streamed(user) == (Status.TRANSPORT, "")
    assert streamed(user | {"delta": {"role": "", "content": "a"}}) == (Status.OK, "a")


def test_a_redirect_is_named():
    with running() as url:
        got = client(url).reply([ask("redirect* | a")])[0]
    assert got.status is Status.REJECTED and not got.final
    assert got.error == "HTTP 302: a redirect to http://127.0.0.1:9/v1/chat/completions, which is not followed"


@pytest.mark.parametrize("form", ["encoded-strangely", "zipped-unsaid"])
def test_a_form_that_the_server_is_to_change_is_asked_for_again_later(form):
    with running() as url:
        got = client(url).reply([ask(f"{form}* | a")])[0]
    assert got.status is Status.REJECTED and not got.final


def test_what_a_budget_holds_back_goes_as_soon_as_there_is_room():
    with planned() as server:
        options = {"max_cost": 1000.0, "prices": Prices(prompt=1e6, completion=1e6), "batch_deadline_s": 8.0}
        got = client(server.url, **options).reply([ask(f"question {i}") for i in range(20)])
    assert {reply.status for reply in got} == {Status.OK}  # one after the other


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_one_server_refuses_for_its_key_or_name_another_one_answers(status):
    with planned() as good, planned() as bad:
        good.plan = lambda model, text: said(f"answer to {text}")
        bad.plan = lambda model, text: refused(status, "not here")
        asking = client([bad.url, good.url])
        texts = [f"question {i}" for i in range(30)]
        assert [reply.text for reply in asking.reply([ask(text) for text in texts])] == [
            f"answer to {t}" for t in texts
        ]
        good.plan = bad.plan
        got = asking.reply([ask("later")])[0]
    assert (got.status, got.error) == (Status.REJECTED, f"HTTP {status}: not here")


def test_what_a_server_refuses_waits_for_no_server_that_is_not_there():
    with planned() as bad:
        bad.plan = lambda model, text: refused(401, "no key")
        got = client([bad.url, "http://127.0.0.1:9/v1"]).reply([ask(f"question {i}") for i in range(12)])
    assert {reply.status for reply in got} == {Status.REJECTED}
    assert all(reply.error == "HTTP 401: no key" for reply in got)


def test_a_request_that_is_wrong_itself_goes_to_no_other_server():
    with planned() as first, planned() as second:
        first.plan = second.plan = lambda model, text: refused(422, "too long")
        got = client([first.url, second.url]).reply([ask("a")])[0]
        assert (got.status, got.final, first.calls + second.calls) == (Status.REJECTED, True, 1)


class Doubling:
    """Takes 0.3 s for an answer, and says it again 0.4 s later."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/v1"
        threading.Thread(target=self.take, daemon=True).start()

    def take(self) -> None:
        while True:
            try:
                taken = self.listening.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(taken,), daemon=True).start()

    def serve(self, taken: socket.socket) -> None:
        with contextlib.suppress(OSError), taken, taken.makefile("rb") as lines:
            while answer := self.answer(lines):
                time.sleep(0.3)
                taken.sendall(answer)
                threading.Timer(0.4, self.send, (taken, answer)).start()

    @staticmethod
    def answer(lines: BinaryIO) -> bytes:
        """The answer to the next request; empty where there is none."""
        length = 0
        for line in lines:
            if line.lower().startswith(b"content-length"):
                length = int(line.split(b":")[1])
            if line == b"\r\n":
                break
        content = lines.read(length)
        if not content:
            return b""
        message = {"content": json.loads(content)["messages"][-1]["content"]}
        body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    @staticmethod
    def send(taken: socket.socket, answer: bytes) -> None:
        with contextlib.suppress(OSError):
            taken.sendall(answer)


def test_a_second_answer_that_takes_as_long_again_is_not_another_requests():
    server = Doubling()
    asking = client(server.url, attempt_timeout_s=10.0)
    for text in ("first", "second", "third"):
        assert [reply.text for reply in asking.reply([ask(text)])] == [text]
        time.sleep(0.3)
    server.listening.close()
