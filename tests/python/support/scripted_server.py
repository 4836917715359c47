"""A server of the chat-completions protocol, in this process, that says what a function of the request's body says."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

HANG = "hang"  # no answer at all
CUT = "cut"  # half of the answer, and the connection closed


@dataclass
class Scripted:
    """What came to the server."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)


def body(text: str = "two", *, finish: Any = "stop", usage: Any = None, **more: Any) -> dict[str, Any]:
    """A reply; `more` stands beside the choices. Without `usage` it says none."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"choices": [choice], **({} if usage is None else {"usage": usage}), **more}


def tokens(prompt: Any, completion: Any, **more: Any) -> dict[str, Any]:
    """A usage."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


@contextmanager
def saying(say: Callable[[dict[str, Any]], Any]) -> Iterator[Scripted]:
    """The server; `say` gives a body, a status of HTTP, HANG or CUT."""
    found, closing = Scripted(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.bodies.append(asked)
            said = say(asked)
            if said == HANG:
                closing.wait(30)
                return
            status, content = (said, {"error": {"message": "no"}}) if isinstance(said, int) else (200, said)
            data = json.dumps(body() if said == CUT else content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:20] if said == CUT else data)
            self.close_connection = said == CUT

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def slowly(said: Any, seconds: float = 0.02) -> Any:
    """The same, a moment later, so that requests pile up."""
    time.sleep(seconds)
    return said
