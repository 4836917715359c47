"""A run's page on loopback: made again when it is asked for and the ledger has gone on.

    GET /        the page
    GET /state   {"version", "steps", "finished"} of the ledger as it is now

The ledger is opened to read, and nothing is written anywhere. A request that names another host than this machine is
refused, so that no page of another place reads this one through a name of its own (DNS rebinding).
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from vlmprobe.ledger import Ledger
from vlmprobe.report.run.write import PageContent, page_text

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
        self._lock, self._kept = threading.Lock(), ("", b"")

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """What a request may name as its host."""
        return {f"{name}:{self.server_port}" for name in _NAMES}

    def page(self) -> bytes:
        """The page of the ledger as it is now; one that is the last one's costs nothing."""
        with self._lock, Ledger(self._ledger, read_only=True) as ledger:
            version = json.dumps(state(ledger))
            if self._kept[0] != version:
                try:
                    text = page_text(self._make(ledger), live=str(state(ledger)["version"]))
                except ValueError as error:  # nothing was asked yet, or the run is another now
                    text = _waiting(str(error))
                self._kept = version, text.encode("utf-8", "backslashreplace")
            return self._kept[1]

    def state(self) -> bytes:
        """What the page asks for."""
        with Ledger(self._ledger, read_only=True) as ledger:
            return json.dumps(state(ledger)).encode()


def serve(ledger: Path, make: Make, port: int = 0) -> Server:
    """A server that listens, and answers once `serve_forever` is called.

    Raises:
        OSError: the port is in use.
    """
    try:
        return Server(ledger, make, port)
    except OSError as error:
        raise OSError(f"[view] --port: {port} cannot be had ({error.strerror}); 0 takes a free one") from error


def state(ledger: Ledger) -> dict[str, object]:
    """How far the runs of a ledger came."""
    progress = ledger.progress()
    steps = sum(phase.steps for run in progress for phase in run.phases)
    events = [len(ledger.events(run.run, kind="modes")) for run in progress]
    finished = bool(progress) and all(run.finished for run in progress)
    return {"version": f"{steps}-{sum(events)}-{finished}", "steps": steps, "finished": finished}


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


def _waiting(why: str) -> str:
    """In the place of a page that cannot be made yet; it asks again by itself."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'"><title>vlmprobe</title>'
        f"<p>There is nothing to show yet: {html.escape(why)}</p></html>"
    )
