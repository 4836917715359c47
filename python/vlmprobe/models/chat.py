"""Models behind servers of the OpenAI chat-completions protocol, and a model that says what a table says."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vlmprobe._native import core
from vlmprobe.models.model import Arrived, ModelReply, Request
from vlmprobe.models.native import reply_of, request_row


@dataclass(frozen=True)
class Endpoint:
    """One server. Its key comes from the environment or a file, never from a command line or a configuration.

    Raises:
        ValueError: a URL that is malformed, or that holds a password, a query or a fragment; without repeating it.
    """

    url: str
    """Up to and with the version: http://127.0.0.1:8000/v1."""
    key_env: str = field(default="", kw_only=True)
    """Name of the environment variable that holds the key; empty: no key."""
    key_file: str | Path = field(default="", kw_only=True)
    """A file that holds the key and nothing else."""

    def __post_init__(self) -> None:
        if not isinstance(self.url, str):
            raise ValueError(f"[Endpoint] url: expected a text, got {type(self.url).__name__}")
        core.models.check_endpoint(_bytes(self.url), "")

    def key(self) -> str:
        """The key, read now; "" where none is needed.

        Raises:
            ValueError: both sources, or a variable or file that holds none, or what no key can be; never with the key
                in the message.
        """
        if self.key_env and self.key_file:
            raise ValueError("[Endpoint] key_file: expected one source of the key, got key_env as well")
        if self.key_env:
            found = os.environ.get(self.key_env, "")
            source = f"key_env: expected a key in the environment variable {self.key_env}"
        elif self.key_file:
            source = f"key_file: expected a key in the file {str(self.key_file)!r}"
            found = _text_of_file(Path(self.key_file), source)
        else:
            return ""
        key = found.strip().strip("\ufeff").strip()  # editors put marks of the byte order in front
        if not key:
            raise ValueError(f"[Endpoint] {source}, got none")
        core.models.check_endpoint(_bytes(self.url), _bytes(key))
        return key


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What a model costs, in any unit, per million tokens."""

    prompt: float
    completion: float


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a client's budgets were charged so far."""

    calls: int
    """Attempts that a server may have charged for."""
    prompt_tokens: int
    """As the server counts them, or as they were held back where it does not say; the completion's too."""
    completion_tokens: int
    cost: float = 0.0
    """In the prices' unit; 0 without prices."""


@dataclass(frozen=True, kw_only=True)
class ClientEvent:
    """Something that changed an endpoint's concurrency or health; all of them are the curve of the concurrency."""

    time_s: float
    """Since the client was made."""
    endpoint: str
    kind: str
    """`grew`, `throttled`, `failing`, `healthy`, or `unasked`: it sent what nobody had asked for."""
    limit: int
    """Requests in flight that are allowed from now on."""
    in_flight: int
    detail: str


class ChatClient:
    """A model on one or more servers; see ``include/vlmprobe/models/chat_client.h`` for what it promises.

    Args:
        endpoints: servers of the same model, as URLs or `Endpoint`; requests go to the least loaded healthy one.
        model: its name on the servers.
        revision: of its weights, for the identity.
        attempt_timeout_s, deadline_s: of an attempt, and of a request with all its attempts.
        unreachable_s: how long endpoints are tried of which none was ever reached.
        batch_deadline_s: of a whole batch; None: none.
        max_attempts: of a request; 429 and a server that cannot be reached cost none.
        first_limit, max_limit: requests in flight per endpoint, at first and at most.
        max_response_bytes: a longer body is a failed attempt.
        max_calls, max_tokens, max_cost: hard budgets; None: none. What might exceed one comes back as `budget`; what a
            server does not count is charged as it was held back.
        prices: for `max_cost` and `spent`.
        schema: whether to send the requests' schemas as response_format.
        extra: more fields of each request's body, for one server's options. Lengths and `n` among them count in the
            budgets in the place of the requests' own.
        proxy: URL of a proxy; the environment's is not used.

    Raises:
        ValueError: options outside their ranges.
        RuntimeError: a build without libcurl; when it is used, also a process that was forked from the client's.

    Example:
        >>> client = ChatClient("http://127.0.0.1:8000/v1", model="Qwen/Qwen2.5-VL-3B-Instruct")  # doctest: +SKIP
        >>> client.reply([Request(messages=[Message(role="user", text="Hello")])])  # doctest: +SKIP
    """

    def __init__(
        self,
        endpoints: str | Endpoint | Sequence[str | Endpoint],
        *,
        model: str,
        revision: str = "",
        attempt_timeout_s: float = 120.0,
        deadline_s: float = 600.0,
        unreachable_s: float = 10.0,
        batch_deadline_s: float | None = None,
        max_attempts: int = 6,
        first_pause_s: float = 0.5,
        first_limit: int = 20,
        max_limit: int = 512,
        max_response_bytes: int = 8 << 20,
        max_calls: int | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        prices: Prices | None = None,
        schema: bool = True,
        extra: Mapping[str, Any] | None = None,
        proxy: str = "",
    ):
        several = [endpoints] if isinstance(endpoints, (str, Endpoint)) else list(endpoints)
        servers = [Endpoint(each) if isinstance(each, str) else each for each in several]
        added = _as_json(extra) if extra else ""
        options = core.models.ChatOptions(
            model=model,
            revision=revision,
            attempt_timeout_s=attempt_timeout_s,
            deadline_s=deadline_s,
            unreachable_s=unreachable_s,
            batch_deadline_s=_budget("batch_deadline_s", batch_deadline_s),
            max_attempts=max_attempts,
            first_pause_s=first_pause_s,
            first_limit=first_limit,
            max_limit=max_limit,
            max_response_bytes=max_response_bytes,
            max_calls=_whole_budget("max_calls", max_calls),
            max_tokens=_whole_budget("max_tokens", max_tokens),
            max_cost=_budget("max_cost", max_cost),
            prompt_price=prices.prompt if prices else 0.0,
            completion_price=prices.completion if prices else 0.0,
            schema=schema,
            extra=added,
            proxy=proxy,
        )
        self.extra = added
        """What is added to each request's body, as JSON."""
        self._urls = [server.url for server in servers]
        self._core = core.models.ChatClient([(server.url, server.key()) for server in servers], options)

    @property
    def identity(self) -> str:
        """`model@revision`."""
        return self._core.identity

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        """[N] replies in the order of the requests. Ctrl-C is heard while it waits."""
        return [reply_of(row) for row in self._core.reply([request_row(request) for request in requests])]

    def stream(self, requests: Sequence[Request], arrived: Arrived) -> list[ModelReply]:
        """As `reply`; `arrived` gets each reply at most 50 ms after it came."""

        def some(rows: Sequence[tuple[int, Sequence[Any]]]) -> None:
            arrived([(place, reply_of(row)) for place, row in rows])

        rows = self._core.reply([request_row(request) for request in requests], some)
        return [reply_of(row) for row in rows]

    @property
    def endpoints(self) -> list[str]:
        """URLs of the servers."""
        return list(self._urls)

    @property
    def spent(self) -> Spent:
        """What was used so far, by all batches."""
        calls, prompt_tokens, completion_tokens, cost = self._core.spent()
        return Spent(calls=calls, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, cost=cost)

    def take_events(self) -> list[ClientEvent]:
        """What happened to the endpoints since the last call, in order."""
        return [
            ClientEvent(time_s=time_s, endpoint=endpoint, kind=kind, limit=limit, in_flight=in_flight, detail=detail)
            for time_s, endpoint, kind, limit, in_flight, detail in self._core.take_events()
        ]

    def __repr__(self) -> str:
        return f"ChatClient({self.identity!r} at {', '.join(self._urls)}; {self.spent.calls} calls)"


class ScriptedModel:
    """Says what a table says: the last message's text -> the reply's text. What is not in the table is `rejected`.

    Example:
        >>> model = ScriptedModel({"How many?": "two"})
        >>> model.reply([Request(messages=[Message(role="user", text="How many?")])])[0].text
        'two'
    """

    def __init__(self, replies: Mapping[str, str], *, identity: str = "scripted"):
        self._core = core.models.ScriptedModel(dict(replies), identity)

    @property
    def identity(self) -> str:
        """The name it was given."""
        return self._core.identity

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        """[N] replies in the order of the requests."""
        return [reply_of(row) for row in self._core.reply([request_row(request) for request in requests])]


def _bytes(text: str) -> bytes:
    """Whatever it holds: the core refuses by place what Python's codecs would refuse by value."""
    return text.encode("utf-8", "surrogatepass")


def _text_of_file(path: Path, source: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"[Endpoint] {source}, got none ({error.strerror})") from None
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # as PowerShell writes
    return content.decode("utf-16" if is_utf16 else "utf-8", "replace")


def _budget(name: str, value: float | None) -> float:
    """0 stands for no budget in the core."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError(f"[ChatClient] {name}: expected more than 0, or None, got {value!r:.60}")
    return value


def _whole_budget(name: str, value: float | None) -> int:
    found = _budget(name, value)
    if found != int(found):
        raise ValueError(f"[ChatClient] {name}: expected a whole number, or None, got {value!r:.60}")
    return int(found)


def _as_json(extra: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(extra), allow_nan=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"[ChatClient] extra: expected an object of plain JSON values ({error})") from None
