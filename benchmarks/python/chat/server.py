"""A server that reads a request to its end, waits 20 ms and answers: as little work as a server can do.

python server.py          prints its port
"""

from __future__ import annotations

import asyncio
import gc

DELAY_S = 0.02
BODY = (
    b'{"id":"c","object":"chat.completion","created":0,"model":"tiny","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"two"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":300,"completion_tokens":1,"total_tokens":301}}'
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Connection(asyncio.Protocol):
    """Requests one after the other; of a body only its length is looked at."""

    def __init__(self) -> None:
        self.head, self.left = b"", 0

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.left == 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            lower = self.head[:end].lower()
            at = lower.index(b"content-length:") + 15
            length = int(lower[at:].split(b"\r\n", 1)[0])
            self.left = length - (len(self.head) - end - 4)
            self.head = b""
        else:
            self.left -= len(data)
        if self.left == 0:
            asyncio.get_running_loop().call_later(DELAY_S, self.transport.write, ANSWER)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.disable()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
