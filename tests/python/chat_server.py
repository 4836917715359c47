"""A server of the chat-completions protocol that misbehaves as its requests ask, in a process of its own.

    python chat_server.py [PORT]     prints its port

A request's last text is `<faults> | <text>`, where faults are names of FAULTS joined by blanks: the first attempt at
that text meets the first one, the second the next; after the last one, or at once without any, the reply is
`answer to <text>`. `500*` stays for ever. GET /seen tells what came: {"requests": n, "keys": [...], "images": n}.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

BIG = 50 << 20
attempts: Counter[str] = Counter()
seen: dict = {"requests": 0, "keys": [], "images": 0, "bodies": []}


def reply(text: str, **more: object) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": more.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage, **more}).encode()


class Answering:
    """One connection's answers."""

    def __init__(self, writer: asyncio.StreamWriter):
        self.writer = writer

    async def send(self, status: int, body: bytes, *headers: str, kind: str = "application/json") -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await self.writer.drain()

    async def fault(self, name: str, text: str) -> None:
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
            case "redirect":
                await self.send(302, b"", "Location: http://127.0.0.1:9/v1/chat/completions")
            case status:
                await self.send(int(status), error)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    answering = Answering(writer)
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
    forever = [name[:-1] for name in planned if name.endswith("*")]
    if forever or attempt < len(planned):
        await answering.fault(forever[0] if forever else planned[attempt], text)
    else:
        await answering.send(200, reply(f"answer to {text}"))


@contextmanager
def running() -> Iterator[str]:
    """The server in a process of its own; its URL."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
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
    server = await asyncio.start_server(serve, "127.0.0.1", int((sys.argv[1:] or [0])[0]), limit=1 << 26)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
