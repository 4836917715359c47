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
from http.server import ThreadingHTTPServer
from pathlib import Path

from vlmprobe._util.loopback import LOOPBACK, Handler, hosts_of
from vlmprobe.ledger import Ledger
from vlmprobe.report.run.write import PageContent, page_text
from vlmprobe.report.table import format

_HEADERS = {"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin"}

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
        super().__init__((LOOPBACK, port), _Handler)
        self._ledger, self._make = ledger, make
        self._making, self._kept = threading.Lock(), ("", b"")

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """What a request may name as its host."""
        return hosts_of(self.server_port)

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


class _Handler(Handler):
    server: Server

    def do_GET(self) -> None:
        """The page, or its state."""
        if not self.named(self.server.hosts):
            return
        if self.path == "/":
            self.send(self.server.page(), "text/html; charset=utf-8", more=_HEADERS)
        elif self.path == "/state":
            self.send(self.server.state(), "application/json", more=_HEADERS)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET


def _waiting(why: str) -> bytes:
    """In the place of a page that cannot be made yet; it asks again by itself."""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'"><title>vlmprobe</title>'
        f"<p>There is nothing to show yet: {html.escape(format.plain(why))}</p></html>"
    )
    return text.encode("utf-8", "backslashreplace")
