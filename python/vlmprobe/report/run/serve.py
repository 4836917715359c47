"""A run's page on loopback, made again while the run goes on.

    GET /        the last page that was made
    GET /state   {"version", "steps", "finished"}: of that page, and of the run as it is now; begins a new page
                 where the run has gone on

The ledger is opened to read, and nothing is written anywhere. A request that names another host than this machine is
refused, so that no page of another place reads this one through a name of its own (DNS rebinding).
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from vlmprobe.ledger import Ledger
from vlmprobe.report.run.write import PageContent, page_text
from vlmprobe.report.table import format

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost", "[::1]")

Make = Callable[[Ledger], PageContent]
"""The page of a ledger as it is now."""


class Server(ThreadingHTTPServer):
    """Serves one run's page; see the module.

    Args:
        ledger: its file.
        make: the page.
        port: 0 for one that is free.
    """

    daemon_threads = True

    def __init__(self, ledger: Path, make: Make, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self._ledger, self._make = ledger, make
        self._making, self._kept = threading.Lock(), ("", b"")

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """What a request may name as its host."""
        return {f"{name}:{self.server_port}" for name in _NAMES}

    def page(self) -> bytes:
        """The last page that was made; the first one is waited for."""
        if not self._kept[0]:
            try:
                self._renew()
            except ValueError as error:  # nothing was asked yet
                return _waiting(str(error))
        return self._kept[1]

    def state(self) -> bytes:
        """How far the run came, and which page is there. Where the run has gone on since, a new one is begun."""
        with Ledger(self._ledger, read_only=True) as ledger:
            version, steps, finished = state(ledger)
        if version != self._kept[0] and not self._making.locked():
            threading.Thread(target=self._renew_quietly, daemon=True).start()
        return json.dumps({"version": self._kept[0], "steps": steps, "finished": finished}).encode()

    def _renew(self) -> None:
        with self._making, Ledger(self._ledger, read_only=True) as ledger:
            version, _, _ = state(ledger)
            if version != self._kept[0]:
                text = page_text(self._make(ledger), live=version)
                self._kept = version, text.encode("utf-8", "backslashreplace")

    def _renew_quietly(self) -> None:
        with suppress(ValueError, OSError):  # the page that is there stays
            self._renew()


def serve(ledger: Path, make: Make, port: int = 0) -> Server:
    """A server that listens, and answers once `serve_forever` is called.

    Raises:
        OSError: the port is in use.
    """
    try:
        return Server(ledger, make, port)
    except OSError as error:
        raise OSError(f"[view] --port: {port} cannot be had ({error.strerror}); 0 takes a free one") from error


def state(ledger: Ledger) -> tuple[str, int, bool]:
    """A name of what the ledger has, the steps of its runs, and whether all of these have ended."""
    progress = ledger.progress()
    steps = sum(phase.steps for run in progress for phase in run.phases)
    modes = sum(len(ledger.events(run.run, kind="modes")) for run in progress)
    finished = bool(progress) and all(run.finished for run in progress)
    return f"{steps}-{modes}-{finished}", steps, finished


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "vlmprobe", ""

    def do_GET(self) -> None:
        """The page, or its state."""
        if self.headers.get("Host", "") not in self.server.hosts:
            self.send_error(HTTPStatus.FORBIDDEN, "another host")
        elif self.path == "/":
            self._send("text/html; charset=utf-8", self.server.page())
        elif self.path == "/state":
            self._send("application/json", self.server.state())
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        headers = {
            "Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }  # fmt: skip
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Requests are not told."""


def _waiting(why: str) -> bytes:
    """In the place of a page that cannot be made yet; it asks again by itself."""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'"><title>vlmprobe</title>'
        f"<p>There is nothing to show yet: {html.escape(format.plain(why))}</p></html>"
    )
    return text.encode("utf-8", "backslashreplace")
