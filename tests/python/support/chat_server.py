"""A server of the chat-completions protocol that misbehaves as its requests ask, in a process of its own.

    python chat_server.py [PORT [FAULT [RETRY_AFTER]]]     prints its port; FAULT: what every request meets

A request's last text is `<faults> | <text>`, where faults are names of FAULTS joined by blanks: the first attempt at
that text meets the first one, the second the next; after the last one, or at once without any, the reply is
`answer to <text>`. `500*` stays for ever. GET /seen tells what came: {"requests": n, "keys": [...], "images": n,
"connections": n}.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
import urllib.request
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

BIG = 50 << 20
GIVEN = sys.argv[1:] if __name__ == "__main__" else []
PORT, FAULT, RETRY_AFTER = [*GIVEN, *["0", "", ""][len(GIVEN) :]]
attempts: Counter[str] = Counter()
seen: dict = {"requests": 0, "keys": [], "images": 0, "bodies": [], "connections": 0}


def reply(text: str, **more: object) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": more.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage, **more}).encode()


def events(text: str, *, whole: bool = True) -> bytes:
    """The reply as a stream of events: a word in each, then why it ended."""
    chunks: list[dict] = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]
    words = re.findall(r"\s*\S+", text)
    chunks += [{"choices": [{"index": 0, "delta": {"content": word}}]} for word in words]
    chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}] if whole else []
    chunks += [{"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}]
    lines = [f"data: {json.dumps(chunk)}\r\n\r\n" for chunk in chunks]
    return ("".join(lines) + "data: [DONE]\n\n" * whole).encode()


ENCODED = {"gzip": gzip.compress, "deflate": zlib.compress}
"""Content encodings that nobody asked for."""
AS_WRITTEN = {
    "bom": lambda body: b"\xef\xbb\xbf" + body,
    "utf16": lambda body: body.decode().encode("utf-16"),
    "zipped-unsaid": gzip.compress,
}
"""Bodies that are not what their head says."""


class Answering:
    """One connection's answers."""

    def __init__(self, writer: asyncio.StreamWriter):
        self.writer = writer

    async def send(
        self, status: int, body: bytes, *headers: str, kind: str = "application/json", length: int | None = None
    ) -> None:
        announced = len(body) if length is None else length
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {announced}", *headers]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()

    async def twice(self, status: int, text: str, seconds: float) -> None:
        """An answer, and a reply that nobody asked for, a moment later on the same connection."""
        stray = reply(f"stray of {text}")
        await self.send(status, reply(f"answer to {text}") if status == 200 else b"{}")
        await asyncio.sleep(seconds)
        await self.send(200, stray)

    async def fault(self, name: str, text: str) -> None:
        if name in ENCODED:
            return await self.send(200, ENCODED[name](reply(f"answer to {text}")), f"Content-Encoding: {name}")
        if name in AS_WRITTEN:
            return await self.send(200, AS_WRITTEN[name](reply(f"answer to {text}")))
        if name.startswith("then-"):  # then-504-20: 504, and 20 ms later a reply
            status, milliseconds = name.removeprefix("then-").split("-")
            return await self.twice(int(status), text, int(milliseconds) / 1000)
        return await self.plain_fault(name, text)

    async def plain_fault(self, name: str, text: str) -> None:
        error = json.dumps({"error": {"message": f"{name}: try again"}}).encode()
        match name:
            case "429":
                await self.send(429, error)
            case "429-after":
                await self.send(429, error, "Retry-After: 0.05")
            case "hang":
                await asyncio.sleep(3600)
            case "drip":
                self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
                while True:
                    self.writer.write(b" ")
                    await self.writer.drain()
                    await asyncio.sleep(0.05)
            case "reset":
                self.writer.transport.abort()
            case "short":  # less than was announced
                self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + reply(text)[:50])
                self.writer.close()
            case "cut":
                await self.send(200, reply(f"answer to {text}")[:-20])
            case "html":
                await self.send(200, b"<html>Bad gateway</html>", kind="text/html")
            case "error-200":
                await self.send(200, error)
            case "empty":
                await self.send(200, reply(""))
            case "thinking":
                await self.send(200, reply("<think>on and on", finish_reason="length"))
            case "big":
                await self.send(200, b" " * BIG)
            case "throttled":
                await self.send(429, error, f"Retry-After: {RETRY_AFTER}")
            case "noise":  # informational answers before the reply
                self.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
                await self.send(200, reply(f"answer to {text}"))
            case "longer":  # than was announced
                body = reply(f"answer to {text}")
                await self.send(200, body + b"HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}", length=len(body))
            case "events" | "events-cut":
                said = events(f"answer to {text}", whole=name == "events")
                await self.send(200, said, kind="text/event-stream")
            case "encoded-strangely":
                await self.send(200, b"\x00" * 40, "Content-Encoding: x-unheard-of")
            case "encoded-503":
                await self.send(503, b"\x00" * 40, "Content-Encoding: x-unheard-of")
            case "bomb":
                await self.send(200, gzip.compress(b" " * BIG), "Content-Encoding: gzip")
            case told if told.startswith("told"):
                await self.told(told)
            case page if page.startswith(("portal", "page-")):
                await self.page(page)
            case "redirect":
                await self.send(302, b"", "Location: http://127.0.0.1:9/v1/chat/completions")
            case status:
                await self.send(int(status), error)

    async def told(self, name: str) -> None:
        """The key, wherever a server can put it; told-401-280: after so many other characters."""
        key = seen["keys"][-1].removeprefix("Bearer ")
        if name == "told":
            said = json.loads(reply(f"your key is {key}", finish_reason="stop"))
            said["choices"][0]["message"]["reasoning"] = f"they gave me {key}"
            said["choices"][0]["finish_reason"] += key
            await self.send(200, json.dumps(said).encode())
            return
        status, padding = name.removeprefix("told-").split("-")
        message = {"error": {"message": "x" * int(padding) + f" {key} is not known here"}}
        await self.send(int(status), json.dumps(message).replace("/", "\\/").encode())

    async def page(self, name: str) -> None:
        """HTML in the place of a reply."""
        if name == "portal":
            page = b"<!DOCTYPE html>\n<html><head><title>\n Sign in to the hotel</title></head></html>"
            await self.send(200, page, kind="text/html")
        else:
            page = b"<html>\r\n<body><center><h1>502 Bad Gateway</h1></center></body></html>"
            await self.send(int(name[-3:]), page, kind="text/html")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    answering = Answering(writer)
    seen["connections"] += 1
    try:
        while line := await reader.readline():
            headers = {}
            while (header := (await reader.readline()).strip()) != b"":
                name, _, value = header.partition(b":")
                headers[name.decode().lower()] = value.decode().strip()
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if line.startswith(b"GET"):
                await answering.send(200, json.dumps(seen).encode())
                continue
            await answer(answering, headers, json.loads(body))
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def answer(answering: Answering, headers: dict[str, str], request: dict) -> None:
    seen["requests"] += 1
    seen["keys"] = sorted({*seen["keys"], headers.get("authorization", "")})
    seen["bodies"] = [*seen["bodies"][-9:], {name: value for name, value in request.items() if name != "messages"}]
    content = request["messages"][-1]["content"]
    if isinstance(content, list):
        seen["images"] += sum(part["type"] == "image_url" for part in content)
        content = content[-1]["text"]
    faults, _, text = content.rpartition(" | ")
    planned = faults.split()
    attempt = attempts[content]
    attempts[content] += 1
    forever = [name[:-1] for name in planned if name.endswith("*")] + [FAULT] * bool(FAULT)
    if forever or attempt < len(planned):
        await answering.fault(forever[0] if forever else planned[attempt], text)
    else:
        await answering.send(200, reply(f"answer to {text}"))


@contextmanager
def running(fault: str = "", retry_after: str = "") -> Iterator[str]:
    """The server in a process of its own; its URL."""
    process = subprocess.Popen([sys.executable, __file__, "0", fault, retry_after], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


def seen_by(url: str) -> dict:
    """What came to it."""
    with urllib.request.urlopen(url.replace("/v1", "/seen")) as answered:
        return json.load(answered)


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", int(PORT), limit=1 << 26)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
