"""`vlmprobe view`: the page on this machine alone, while the run goes on; the ledger is read and nothing else."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from functools import partial

import pytest
from playwright.sync_api import expect

from support.browser import Opened
from support.run_ledgers import step_of, write_run
from vlmprobe import cli
from vlmprobe.cli.report import page_of
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.report.run.serve import serve


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path, runs=("rl",), steps=3)


@pytest.fixture
def server(folder):
    with serve(folder / "ledger.sqlite", partial(page_of, folder=folder)) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server, path="/", host=None, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.putrequest(method, path, skip_host=True)
    for name in [host or f"127.0.0.1:{server.server_port}"] if host != "" else []:
        connection.putheader("Host", name)
    connection.endheaders()
    reply = connection.getresponse()
    return reply.status, reply.read().decode(), dict(reply.getheaders())


def go_on(folder, step):
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.record(step_of("rl", step, "tiny-0"))


def test_the_page_follows_the_run_and_keeps_what_was_chosen(browser, folder, server):
    with Opened(browser, f"{server.address}#questions?outcome=r") as opened:
        expect(opened.page.locator("#live")).to_contain_text("Finished, 3 steps so far.")
        assert opened.text("#comparison-rates tbody td >> nth=1") == "72"
        go_on(folder, 3)
        expect(opened.page.locator("#comparison-rates tbody td >> nth=1")).to_have_text("96", timeout=20_000)
        opened.page.wait_for_selector("html[data-ready]")
        assert opened.page.locator("#filters [name=outcome] option:checked").inner_text() == "right"
        opened.page.uncheck("#live input")
        go_on(folder, 4)
        expect(opened.page.locator("#live")).to_contain_text("5 steps so far.", timeout=20_000)
        assert opened.text("#comparison-rates tbody td >> nth=1") == "96"
        assert opened.wrong == [] and opened.elsewhere() == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "127.0.0.1:{port}.evil.example"]
)
def test_a_request_under_another_name_is_refused(server, host):
    for path in ("/", "/state"):
        status, text, _ = ask(server, path, host.format(port=server.server_port))
        assert status == 403 and "purple" not in text and "steps" not in text


def test_nothing_else_is_served_or_changed(folder, server):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in ("/ledger.sqlite", "/../ledger.sqlite", "/state/", "/?x", "/report.html"):
        assert ask(server, path)[0] == 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(server, method=method)[0] == 501
    status, text, headers = ask(server)
    assert status == 200 and "purple" in text and headers["Cache-Control"] == "no-store"
    assert re.search("connect-src 'self'", text) and headers["X-Frame-Options"] == "DENY"
    assert ask(server, method="HEAD")[:2] == (200, "")
    assert json.loads(ask(server, "/state", f"localhost:{server.server_port}")[1])["steps"] == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_before_the_first_question_there_is_a_page_that_asks_again(tmp_path):
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.begin(RunRecord(id="rl"))
    with serve(tmp_path / "ledger.sqlite", partial(page_of, folder=tmp_path)) as made:
        text = made.page().decode()
    assert "There is nothing to show yet: [report]" in text and 'http-equiv="refresh"' in text


def test_the_command_says_the_address_and_ends_with_ctrl_c(folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "vlmprobe", "view", str(folder)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    address = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "ended\n" and process.returncode == 0


def test_what_is_asked_wrongly_is_one_sentence(tmp_path, folder, server, capsys):
    for words, said in (
        ([str(tmp_path / "none")], r"\[RunDirectory\] path: expected the folder of a run"),
        ([str(folder), "--port", "65536"], r"\[view\] --port: expected 0 to 65535, got 65536"),
        (
            [str(folder), "--port", str(server.server_port)],
            r"\[view\] --port: \d+ cannot be had \(Address already in use\)",
        ),
    ):
        assert cli.main(["view", *words]) == 2
        assert re.search(said, capsys.readouterr().err)
