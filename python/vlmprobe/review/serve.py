"""The page on which people label, on loopback: three files, an item, its picture, and what a key says.

Each annotator has a URL with a token. Nobody without one sees anything, and a page of another site that finds the port
cannot ask: the Host, and the Origin of what is sent, must be this server's.
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from importlib import resources
from typing import Any

from vlmprobe._util.loopback import LOOPBACK, NAMES, Handler, hosts_of
from vlmprobe._util.visible import visible
from vlmprobe.data.image import Image
from vlmprobe.review.desk import Desk

MOST = 10_000
"""Bytes of a request."""
_POLICY = (
    "default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'"
)
_PAGES = {
    "": ("label.html", "text/html"),
    "label.js": ("label.js", "text/javascript"),
    "label.css": ("label.css", "text/css"),
}
Picture = Callable[[int], Image]
"""Number of a picture to it."""


class LabelServer(ThreadingHTTPServer):
    """Serves the desks of some annotators.

    Args:
        desks: what is shown and said, one for each annotator.
        picture: of the run.
        host: where it listens; by default loopback alone.
        port: 0 for any that is free.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, desks: Sequence[Desk], picture: Picture, *, host: str = LOOPBACK, port: int = 0):
        self.desks = {secrets.token_urlsafe(24): desk for desk in desks}
        """Token -> desk."""
        super().__init__((host, port), partial(_Handler, picture))
        self.host, self.port = host, int(self.server_address[1])
        names = NAMES if host in NAMES else (host,)
        self.hosts = None if host in ("0.0.0.0", "::") else hosts_of(self.port, names)
        """What a request may name as its Host; None: anything, because it listens everywhere."""

    @property
    def urls(self) -> list[str]:
        """Of the page, for each annotator."""
        return [f"http://{self.host}:{self.port}/{token}/" for token in self.desks]

    def desk_of(self, given: str) -> Desk | None:
        """The desk of a token; None for another text."""
        found = [desk for token, desk in self.desks.items() if secrets.compare_digest(given.encode(), token.encode())]
        return found[0] if found else None


class _Handler(Handler):
    server: LabelServer
    _desk: Desk

    def __init__(self, picture: Picture, *args: Any):
        self._picture = picture
        super().__init__(*args)

    def do_GET(self) -> None:
        """A file of the page, an item, or a picture."""
        path = self._path()
        if path is None:
            return
        kind, _, number = path.partition("/")
        if path in _PAGES:
            name, content = _PAGES[path]
            self._send(resources.files("vlmprobe.review").joinpath("page", name).read_bytes(), content)
        elif kind == "item" and number.isdecimal():
            self._item(int(number))
        elif path == "item":
            self._item(self._desk.first)
        elif kind == "picture" and number.isdecimal() and int(number) < len(self._desk.items):
            self._send_picture(int(number))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """What a key says about an item; replies with the next."""
        path = self._path()
        if path is None:
            return
        origin, length = self.headers.get("Origin"), self.headers.get("Content-Length", "")
        if origin is not None and origin.partition("://")[2] != self.headers.get("Host"):
            self.send_error(HTTPStatus.FORBIDDEN)
        elif path != "label" or not length.isdecimal() or int(length) > MOST:
            self.send_error(HTTPStatus.BAD_REQUEST)
        else:
            try:
                said = json.loads(self.rfile.read(int(length)))
                at, key = int(said["at"]), str(said["key"])
                self._desk.say(at, key)
            except (ValueError, KeyError, TypeError) as error:
                self._send(json.dumps({"error": str(error)}).encode(), "application/json", HTTPStatus.BAD_REQUEST)
                return
            self._item(at + 1)

    def _path(self) -> str | None:
        """What stands behind the token; None where the request is none of ours, which is said then."""
        if not self.named(self.server.hosts):
            return None
        token, _, rest = self.path.partition("?")[0].removeprefix("/").partition("/")
        desk = self.server.desk_of(token)
        if desk is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        self._desk = desk
        return rest

    def _item(self, at: int) -> None:
        shown = self._desk.shown(at)
        for name in ("question", "answer"):
            if shown.get(name):
                shown[name] = visible(shown[name])
        self._send(json.dumps(shown).encode(), "application/json")

    def _send_picture(self, at: int) -> None:
        try:
            image = self._picture(self._desk.items[at].image)
        except (ValueError, OSError):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        out = io.BytesIO()
        image.pixels.save(out, format="PNG")
        self._send(out.getvalue(), "image/png")

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        kind = kind if kind.startswith("image/") else f"{kind}; charset=utf-8"
        self.send(body, kind, more={"Content-Security-Policy": _POLICY}, status=status)
