"""A server of three models that take their time: a questioner, an answerer and a verifier, by the request's model.

python server.py ASKS_S ANSWERS_S JUDGES_S          prints its port
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys

QUESTIONS = 4
NUMBERS = range(1, QUESTIONS + 1)
COMPLETION = " ".join(f"<response_{i}> What is the {i}th thing on the left? </response_{i}>" for i in NUMBERS)
CRITERIA = ("grammatical", "atomic", "grounded", "objective")
VERDICT = {"reason": "seen", **dict.fromkeys(CRITERIA, True), "correct": False}
SAYS = {"asker": COMPLETION, "answers": "a hat", "judge": f"<verdict>{json.dumps(VERDICT)}</verdict>"}
"""What each model replies."""


def body_of(text: str) -> bytes:
    """A reply of the protocol."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320}
    reply = {"id": "c", "object": "chat.completion", "created": 0, "model": "tiny", "usage": usage}
    body = json.dumps(reply | {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waits: dict[str, float]) -> None:
    """Requests of one connection, one after the other."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head[head.index(b"content-length:") + 15 :].split(b"\r\n", 1)[0])
            request = json.loads(await reader.readexactly(length))
            await asyncio.sleep(waits[request["model"]])
            writer.write(body_of(SAYS[request["model"]]))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    waits = dict(zip(("asker", "answers", "judge"), map(float, sys.argv[1:]), strict=True))
    server = await asyncio.start_server(lambda r, w: serve(r, w, waits), "127.0.0.1", 0, backlog=1024, limit=2**24)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.disable()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
