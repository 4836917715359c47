"""Keys reach their server and nothing else, and what cannot be sent is refused before anything is written."""

from __future__ import annotations

import pytest

from support.chat_server import running, seen_by
from support.chatting import ask, client, needs_chat_client
from support.world_probes import written
from vlmprobe import cli
from vlmprobe.models.chat import Endpoint

pytestmark = needs_chat_client
KEY = "sk-Pl/anted+4f1d77aa9Qe2"
SECRET_URLS = (
    "http://me:sEcReT@a/v1",
    "http://sEcReT@a/v1",
    "https://a/v1?api_key=sEcReT",
    "https://a/v1#sEcReT",
    "ftp://me:sEcReT@a",
    "ftp://a/sEcReT",
    "sEcReT",
    "http://a/v1 sEcReT",
)
MALFORMED_URLS = (
    *("", "http://", "http:///v1", "http://a:99999/v1", "http://a:0/v1", "http://a:port/v1", "http://[::1/v1"),
    *("http://a\\b/v1", "http://a\x00/v1", "http://a/v1\n", "http://ä/v1", "http://a/\udcff", "http://a:80:80/v1"),
)

BAD_KEYS = ("sEcReT\nX-More: 1", "sE\rcReT", "sE\0cReT", "sEcReTä", "sE cReT", "sEc\x7fReT", "sE\udcffcReT")


@pytest.fixture
def server():
    with running() as url:
        yield url


@pytest.fixture
def keyed(server, monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    return client([Endpoint(server, key_env="PLANTED_KEY")], max_attempts=2)


@pytest.mark.parametrize("url", SECRET_URLS + MALFORMED_URLS)
def test_a_url_that_nothing_can_be_sent_to_is_refused_at_once_and_not_repeated(url):
    for make in (Endpoint, client):
        with pytest.raises(ValueError, match=r"^\[models::ChatClient\] url: expected ") as caught:
            make(url)
        assert "sEcReT" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1", "https://[::1]:8000/v1/", "http://a", "https://a-b.c:65535/x/v1"]
)
def test_a_url_of_a_server_is_taken(url):
    assert Endpoint(url).url == url


@pytest.mark.parametrize(
    "bad", ["sEcReT\nX-More: 1", "sE\rcReT", "sE\0cReT", "sEcReTä", "sE cReT", "sEc\x7fReT", "sE\udcffcReT"]
)
def test_a_key_that_is_none_is_refused_by_place_and_not_repeated(bad, tmp_path, monkeypatch):
    (tmp_path / "key").write_bytes(bad.encode("utf-8", "surrogateescape"))
    endpoints = [Endpoint("http://a/v1", key_file=tmp_path / "key")]
    if "\0" not in bad:
        monkeypatch.setenv("BAD_KEY", bad)
        endpoints.append(Endpoint("http://a/v1", key_env="BAD_KEY"))
    for endpoint in endpoints:
        for use in (endpoint.key, lambda endpoint=endpoint: client([endpoint])):
            with pytest.raises(
                ValueError, match=r"key: expected visible ASCII, got another character at place \d"
            ) as caught:
                use()
            assert "cReT" not in str(caught.value)


@pytest.mark.parametrize("written", [b"\xef\xbb\xbfthe-key\r\n", "the-key\n".encode("utf-16"), b"\n the-key\t\n\n"])
def test_a_key_file_is_read_as_editors_write_it(written, tmp_path):
    (tmp_path / "key").write_bytes(written)
    assert Endpoint("http://a/v1", key_file=tmp_path / "key").key() == "the-key"


@pytest.mark.parametrize("written", [b"", b" \r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", None])
def test_a_key_file_without_a_key_is_an_error(written, tmp_path):
    if written is not None:
        (tmp_path / "key").write_bytes(written)
    for path in (tmp_path / "key", tmp_path):  # a folder, too
        with pytest.raises(ValueError, match=r"\[Endpoint\] key_file: expected a key in the file .*, got none"):
            Endpoint("http://a/v1", key_file=path).key()


@pytest.mark.parametrize("status", [401, 400, 500, 429])
def test_no_part_of_a_key_survives_where_an_error_is_shortened(keyed, status):
    keyed = client([Endpoint(keyed._urls[0], key_env="PLANTED_KEY")], max_attempts=1, deadline_s=0.2)
    for padding in range(270, 300, 7):
        error = keyed.reply([ask(f"told-{status}-{padding}* | a{padding}")])[0].error
        assert f"HTTP {status}" in error
        assert "sk-P" not in error
    assert "sk-P" not in repr(keyed.take_events())


def test_a_key_is_cut_out_of_every_field_of_a_reply(keyed):
    reply = keyed.reply([ask("told* | a")])[0]
    assert KEY not in repr(reply)
    assert "[key]" in repr(reply)


@pytest.mark.parametrize("word", ["key", "[key]", "e", "ok"])
def test_a_key_that_is_a_word_neither_hangs_nor_harms_an_answer(server, word, monkeypatch):
    monkeypatch.setenv("WORD_KEY", word)
    chat = client([Endpoint(server, key_env="WORD_KEY")], max_attempts=1)
    replies = chat.reply([ask("every ok key"), ask("told-400-10 | b")])
    assert replies[0].text == "answer to every ok key"
    assert "[key]" in replies[1].error


@pytest.mark.parametrize(
    ("endpoint", "more"),
    [
        ("https://a/v1?key=sEcReT", {}),
        ("http://me:sEcReT@a/v1", {}),
        ("http://a/v1", {"key_file": "no such file"}),
        ("http://a/v1", {"key_env": "NO_SUCH_KEY"}),
        ([["sEcReT"]], {}),
        ("http://a/v1", {"client": {"proxy": "http://me:sEcReT@proxy:3128"}}),
    ],
)
def test_a_run_is_refused_before_anything_is_written(tmp_path, capsys, endpoint, more):
    folder = written(tmp_path / "run", steps=1, answerer={"model": "m", "endpoint": endpoint, **more})
    assert cli.main(["run", str(folder)]) in (1, 2)
    assert "sEcReT" not in "".join(capsys.readouterr())
    assert [path.name for path in folder.iterdir()] == ["probe.yaml"]


def test_keys_go_to_their_own_server(server, monkeypatch):
    monkeypatch.setenv("PLANTED_KEY", KEY)
    with running() as other:
        chat = client([Endpoint(server, key_env="PLANTED_KEY"), other], first_limit=1, max_limit=1)
        assert len({reply.endpoint for reply in chat.reply([ask(f"q{i}") for i in range(40)])}) == 2
        assert (seen_by(server)["keys"], seen_by(other)["keys"]) == ([f"Bearer {KEY}"], [""])
