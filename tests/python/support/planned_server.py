"""A server of the chat-completions protocol in this process, whose every answer a test plans."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SOUND = {"grammatical": True, "atomic": True, "grounded": True, "objective": True}


def said(text: str, *, finish_reason: str = "stop") -> tuple[int, dict]:
    """An answer with a reply."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return 200, {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 4}}


def refused(status: int, words: str) -> tuple[int, dict]:
    """An answer with an error."""
    return status, {"error": {"message": words}}


def fine(model: str, text: str) -> tuple[int, dict]:
    """A judge that finds every question sound and every other answer wrong; any other model says `yes`."""
    verdict = {"reason": "seen", **SOUND, "correct": sum(map(ord, text)) % 2 == 0}
    return said(f"<verdict>{json.dumps(verdict)}</verdict>" if model.startswith("judge") else "yes")


class Planned:
    """The server; `plan(model, text)` gives status and body (an object, or bytes) of each answer."""

    def __init__(self, url: str):
        self.url, self.calls = url, 0
        self.plan: Callable[[str, str], tuple[int, Any]] = fine

    def handler(self) -> type[BaseHTTPRequestHandler]:
        planned = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                content = request["messages"][-1]["content"]
                text = content if isinstance(content, str) else content[-1]["text"]
                planned.calls += 1
                status, body = planned.plan(request["model"], text)
                if self.path != "/v1/chat/completions":
                    status, body = 404, {"detail": "Not Found"}
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        return Handler


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


@contextmanager
def planned() -> Iterator[Planned]:
    """The server, as long as the block lasts."""
    made = Planned("")
    server = _Server(("127.0.0.1", 0), made.handler())
    made.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
