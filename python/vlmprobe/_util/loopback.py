"""What the pages that are served on this machine share: which hosts a request may name, and how a reply is sent.

A page of another place may give this machine a name of its own and ask through the reader's browser (DNS rebinding). So
a server on loopback replies to no request that names another host.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost", "[::1]")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


def hosts_of(port: int, names: tuple[str, ...] = NAMES) -> set[str]:
    """What a request may name as its host.

    >>> sorted(hosts_of(80, ("localhost",)))
    ['localhost:80']
    """
    return {f"{name}:{port}" for name in names}


class Handler(BaseHTTPRequestHandler):
    """Sends replies that nothing keeps, and says nothing of requests, whose paths may hold a token."""

    server_version, sys_version = "vlmprobe", ""

    def named(self, hosts: set[str] | None) -> bool:
        """Whether the request names one of the hosts; None: any. Where it does not, it is refused."""
        if hosts is None or self.headers.get("Host", "") in hosts:
            return True
        self.send_error(HTTPStatus.FORBIDDEN, "another host")
        return False

    def send(self, content: bytes, kind: str, *, more: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK) -> None:
        """A reply; of a HEAD request its head alone.

        Args:
            content: what is sent.
            kind: its `Content-Type`.
            more: further headers.
            status: of the reply.
        """
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **_HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Requests are not told."""
