"""What a server says though nobody asked for it in that form is read, or refused once with a sentence."""

from __future__ import annotations

import pytest

from support.chat_server import running, seen_by
from support.chatting import ask, client, needs_chat_client
from vlmprobe.models.model import Status

pytestmark = needs_chat_client


@pytest.fixture
def server():
    with running() as url:
        yield url


@pytest.mark.parametrize("form", ["gzip", "deflate", "bom", "utf16", "events"])
def test_a_reply_in_a_form_that_nobody_asked_for_is_read(server, form):
    got = client(server).reply([ask(f'{form} | Wie viele Bäume? 🌳 "zwei"')])[0]
    assert (got.status, got.text) == (Status.OK, 'answer to Wie viele Bäume? 🌳 "zwei"')
    assert (got.usage.prompt_tokens, got.usage.completion_tokens, got.attempts) == (10, 2, 1)
    assert got.finish_reason == "stop"


@pytest.mark.parametrize(
    ("form", "sentence"),
    [("encoded-strangely", "encoded in a way that cannot be read here"), ("zipped-unsaid", "the body is compressed")],
)
def test_a_form_that_cannot_be_read_is_refused_once(server, form, sentence):
    got = client(server).reply([ask(f"{form}* | a")])[0]
    assert (got.status, got.text) == (Status.REJECTED, "")
    assert sentence in got.error
    assert "set the server to send it plain" in got.error
    assert seen_by(server)["requests"] == 1


def test_an_outage_is_tried_again_in_whatever_form_it_comes(server):
    got = client(server).reply([ask("encoded-503 | a")])[0]
    assert (got.status, got.text, got.attempts) == (Status.OK, "answer to a", 2)
    got = client(server, max_attempts=1).reply([ask("encoded-503* | a")])[0]
    assert (got.status, got.error) == (Status.TRANSPORT, "HTTP 503")


def test_half_a_stream_of_events_is_no_answer(server):
    got = client(server, max_attempts=2).reply([ask("events-cut* | a")])[0]
    assert (got.status, got.text, got.error) == (
        Status.TRANSPORT,
        "",
        "the stream of events ended before [DONE]",
    )
    again = client(server).reply([ask("events-cut | b")])[0]
    assert (again.status, again.text, again.attempts) == (Status.OK, "answer to b", 2)


def test_a_page_in_place_of_a_reply_is_one_sentence_with_its_title(server):
    got = client(server, max_attempts=2).reply([ask("portal* | a")])[0]
    assert got.status == Status.TRANSPORT
    assert got.error == "a web page came in place of a reply ('Sign in to the hotel'): is the URL the server's own?"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("500", "HTTP 500: 500: try again"),
        ("504", "HTTP 504: 504: try again"),
        ("page-502", "HTTP 502: 502 Bad Gateway"),
        ("page-403", "HTTP 403: 502 Bad Gateway"),
    ],
)
def test_an_error_keeps_the_servers_words(server, fault, words):
    got = client(server, max_attempts=2).reply([ask(f"{fault}* | a")])[0]
    assert got.error == words


def test_what_is_small_only_while_it_is_packed_counts_as_what_it_is(server):
    got = client(server, max_attempts=1).reply([ask("bomb* | a")])[0]
    assert (got.status, got.error) == (Status.TRANSPORT, "the body has more than 1048576 bytes")
