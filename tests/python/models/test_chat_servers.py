"""One endpoint's trouble is its own, and a deadline is kept whatever the endpoints do."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager

import pytest

from support.chat_server import running, seen_by
from support.chatting import ask, client, needs_chat_client
from vlmprobe.models.model import Status

pytestmark = needs_chat_client


@pytest.fixture
def server():
    with running() as url:
        yield url


@contextmanager
def nobody():
    """A URL where nobody listens, and nobody will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"


@pytest.mark.parametrize("wait", ["1000000000", "1e400", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_what_one_server_puts_off_for_ever_another_one_serves(server, wait):
    with running("throttled", wait) as busy:
        replies = client([busy, server], deadline_s=20.0).reply([ask(f"q{i}") for i in range(20)])
        assert {reply.endpoint for reply in replies} == {server}
        assert [reply.text for reply in replies] == [f"answer to q{i}" for i in range(20)]
        assert seen_by(busy)["requests"] > 0


def test_every_request_ends_at_its_deadline_while_all_servers_are_paused():
    with running("throttled", "86400") as one, running("throttled", "1e9") as other:
        chat = client([one, other], deadline_s=1.0, first_limit=2, max_limit=2)
        replies = chat.reply([ask(f"q{i}") for i in range(40)])
    assert {reply.status for reply in replies} == {Status.TIMEOUT}
    assert all("HTTP 429: throttled: try again" in reply.error for reply in replies)


def test_endpoints_that_were_never_reached_say_so_at_once_after_their_time():
    with nobody() as one, nobody() as other:
        chat = client([one, other], unreachable_s=0.3, deadline_s=600.0)
        for _ in range(2):  # and a second batch is tried again, once
            replies = chat.reply([ask(f"q{i}") for i in range(50)])
            assert {reply.status for reply in replies} == {Status.TRANSPORT}
            assert all("no endpoint can be reached; last: Failed to connect" in reply.error for reply in replies)
        assert chat.spent.calls == 0


def test_a_server_that_was_reached_once_is_waited_for():
    with running() as url:
        chat = client(url, unreachable_s=0.2, deadline_s=1.0)
        assert chat.reply([ask("a")])[0].status == Status.OK
    assert "no reply before the deadline" in chat.reply([ask("b")])[0].error


def test_a_server_that_fails_keeps_nothing_from_one_that_works(server):
    with running("500") as broken:
        replies = client([broken, server], max_attempts=2, first_limit=2).reply([ask(f"q{i}") for i in range(60)])
        assert [reply.text for reply in replies] == [f"answer to q{i}" for i in range(60)]
        assert seen_by(broken)["requests"] < 20


def test_a_forked_child_says_that_the_client_is_not_its_own(server):
    chat = client(server)
    assert chat.reply([ask("a")])[0].status == Status.OK
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        for use in (lambda: chat.reply([ask("b")]), lambda: chat.spent, chat.take_events):
            try:
                use()
            except RuntimeError as error:
                said += str(error) + "\n"
        del use, chat
        os.write(writing, said.encode() + b"ended")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read().splitlines()
    os.waitpid(child, 0)
    assert len(said) == 4
    assert said[3] == "ended"
    assert all("a forked process makes a client of its own" in line for line in said[:3])
    assert chat.reply([ask("c")])[0].text == "answer to c"
