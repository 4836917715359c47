"""A reply belongs to its request: what a server sends too late, twice or unasked is nobody's reply."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from support.chat_server import reply, running, seen_by
from support.chatting import ask, client, needs_chat_client

pytestmark = needs_chat_client


@pytest.fixture(scope="module")
def server():
    with running() as url:
        yield url


def foreign(url: str | list[str], fault: str, *, requests: int = 60, every: int = 5) -> list[tuple[str, str]]:
    """(question, reply) where the reply is not the question's own; every few requests meet the fault."""
    chat = client(url, attempt_timeout_s=5.0, first_limit=3, max_limit=3)
    texts = [f"{fault}-{i}" for i in range(requests)]
    asked = [ask(f"{fault} | {text}" if i % every == 0 else text) for i, text in enumerate(texts)]
    found = zip(texts, chat.reply(asked), strict=True)
    return [(text, got.text or got.error) for text, got in found if got.text != f"answer to {text}"]


@pytest.mark.parametrize("fault", ["then-503-5", "then-408-20", "then-500-0", "then-502-60", "then-429-5"])
def test_a_late_reply_behind_an_error_is_nobodys(server, fault):
    assert foreign(server, fault) == []


@pytest.mark.parametrize("fault", ["then-200-0", "then-200-8", "then-200-80"])
def test_a_second_reply_behind_a_good_one_is_nobodys(server, fault):
    assert foreign(server, fault) == []


@pytest.mark.parametrize("fault", ["noise", "longer", "reset", "short", "cut"])
def test_whatever_else_a_server_does_on_a_connection_shifts_no_reply(server, fault):
    assert foreign(server, fault, requests=30) == []


def test_a_gateway_that_is_late_leaves_the_replies_of_another_one_alone(server):
    with running() as another:
        assert foreign([server, another], "then-504-5") == []


def test_connections_are_used_again_after_a_while_of_silence(server):
    chat = client(server, first_limit=4, max_limit=4)
    before = seen_by(server)["connections"]
    for turn in range(3):
        assert all(got.text for got in chat.reply([ask(f"again {turn} {i}") for i in range(4)]))
        time.sleep(0.3)
    assert seen_by(server)["connections"] - before == 4 + 1  # one of them asks what was seen


def test_a_server_that_sends_what_nobody_asked_for_gets_a_connection_for_each_request(server):
    chat = client(server, first_limit=1, max_limit=1)
    asked = ["then-200-10 | twice", "calm", "calmer", "calmest"]
    for text in asked:
        assert chat.reply([ask(text)])[0].text == f"answer to {text.rpartition(' | ')[2]}"
        time.sleep(0.3)
    assert [event.kind for event in chat.take_events()].count("unasked") == 1


class Speaking:
    """A server in a thread that says what a function gives it, on each connection, before it is asked."""

    def __init__(self, first: bytes, then: bytes):
        self.first, self.then, self.heard = first, then, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=32)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.sendall(self.first)
            while data := connection.recv(1 << 16):
                self.heard += data.count(b"POST ")
                if b"]}" in data[-4:]:
                    connection.sendall(self.then)


def said(body: bytes, status: int = 200) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def test_a_reply_that_begins_before_the_request_has_left_is_not_taken():
    speaking = Speaking(said(reply("stray")), said(reply("late")))
    got = client(speaking.url, max_attempts=2).reply([ask("x" * 30_000_000)])[0]
    speaking.listener.close()
    assert (str(got.status), got.text) == ("transport", "")
    assert "answered before it had the request" in got.error


def test_a_refusal_that_comes_before_the_whole_request_was_read_is_heard():
    speaking = Speaking(said(b'{"error": {"message": "too large"}}', 413), b"")
    got = client(speaking.url, max_attempts=2).reply([ask("x" * 30_000_000)])[0]
    speaking.listener.close()
    assert (str(got.status), got.error) == ("rejected", "HTTP 413: too large")
