"""A model that is asked by message: batches of requests in, batches of replies out, in the same order.

`Model` is the interface; `ChatClient` (any server of the OpenAI chat-completions protocol), `ScriptedModel` and any
Python object with the members of `Model` are models. Judges and answerers (`vlmprobe.models.judges`) are built on it.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from vlmprobe._util.checks import check_rows
from vlmprobe._util.visible import is_blank


class Status(str, enum.Enum):
    """What became of a request. Only `ok` has an answer; no other says anything about the model under test."""

    OK = "ok"
    TIMEOUT = "timeout"  # no whole reply before the deadline
    TRANSPORT = "transport"  # connection, 408, 409, 429, 5xx, or a body that is no whole reply, after all retries
    REJECTED = "rejected"  # 400, 401, 402, 403, 404, 413, 422, spent credit: the same request would fail again
    REFUSAL = "refusal"  # the model declined, or a filter did
    EMPTY = "empty"  # a reply without text: nothing, thinking alone, or a call of a tool
    TRUNCATED = "truncated"  # a length ended it first: of the reply, or of the model's context
    BUDGET = "budget"  # not sent: a budget of calls, tokens or cost is spent

    __str__ = str.__str__


@dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """An image as it is sent: a file's bytes."""

    data: bytes = field(repr=False)
    """PNG or JPEG."""
    media_type: str = "image/png"
    sha256: str = ""
    """Of the data, hexadecimal; always computed, whatever is given here."""

    def __post_init__(self) -> None:
        if not isinstance(self.data, (bytes, bytearray, memoryview)):
            raise ValueError(f"[EncodedImage] data: expected bytes, got {type(self.data).__name__}")
        object.__setattr__(self, "data", bytes(self.data))
        object.__setattr__(self, "sha256", hashlib.sha256(self.data).hexdigest())


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn."""

    role: str
    """`system`, `user` or `assistant`."""
    text: str
    images: Sequence[EncodedImage] = ()
    """Shown before the text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        for image in self.images:
            if not isinstance(image, EncodedImage):
                raise ValueError(f"[Message] images: expected each an EncodedImage, got {type(image).__name__}")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a reply is drawn."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512
    """Of the reply, thinking included."""
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing asked of a model."""

    messages: Sequence[Message]
    sampling: Sampling = Sampling()
    schema: str = ""
    """JSON schema of the reply's text, for servers that support one; empty: free text."""
    id: str = ""
    """Name in ledgers and logs; changes nothing else."""
    vote: int = 0
    """Equal requests with different votes are asked and cached apart."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens, as the server counts them; 0 where it does not say, or says what cannot be."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What budgets were charged for a request, all its attempts together.

    Usage as the server counts it, or what was held back for the attempt where it does not say.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class ModelReply:
    """What came back.

    Raises:
        ValueError: a status that is none.
    """

    status: Status
    """`ok` with a blank text is `empty`."""
    text: str = ""
    """The answer after the thinking; empty unless the status is `ok` or `truncated`."""
    reasoning: str = ""
    """The thinking, where the model shows it."""
    finish_reason: str = ""
    """As the server says it: `stop`, `length`, ..."""
    usage: Usage = Usage()
    latency_s: float = 0.0
    attempts: int = 1
    endpoint: str = ""
    """Where it came from."""
    error: str = ""
    """What went wrong, without secrets; where a server refused, `HTTP <status>: <the server's words>`."""
    charged: Charge | None = None
    """None, from a model that keeps no budget: attempts and usage."""

    def __post_init__(self) -> None:
        if self.status not in list(Status):
            raise ValueError(f"[ModelReply] status: expected {', '.join(Status)}, got {self.status!r:.60}")
        if not isinstance(self.text, str):
            raise ValueError(f"[ModelReply] text: expected a text, got {self.text!r:.60}")
        blank = self.status == Status.OK and is_blank(self.text)
        object.__setattr__(self, "status", Status.EMPTY if blank else Status(self.status))
        if self.charged is None:
            tokens = {"prompt_tokens": self.usage.prompt_tokens, "completion_tokens": self.usage.completion_tokens}
            object.__setattr__(self, "charged", Charge(calls=self.attempts, **tokens))

    @property
    def final(self) -> bool:
        """Whether the same request may be held to fail again: all but an outage, a spent budget, and a refusal by HTTP
        that is not the request's own fault but its sender's to put right (key, credit, permission, name of a model,
        path)."""
        if self.status is Status.REJECTED:
            return http_status(self.error) in (*OWN_FAULT, None)
        return self.status not in (Status.TIMEOUT, Status.TRANSPORT, Status.BUDGET)


OWN_FAULT = (400, 413, 414, 415, 422)
"""What HTTP answers to a request that itself is wrong; any other refusal is its sender's to put right."""


def http_status(error: str) -> int | None:
    """The status of a refusal; None where it was not by HTTP.

    >>> http_status("HTTP 404: no such model")
    404
    """
    refused = re.match(r"HTTP (\d{3})\b", error)
    return None if refused is None else int(refused[1])


@runtime_checkable
class Model(Protocol):
    """Anything that answers requests."""

    @property
    def identity(self) -> str:
        """Model and revision, the same string in every run."""

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        """[N] replies in the order of the requests; what failed is a reply with its status, not an exception."""


Arrived = Callable[[Sequence[tuple[int, ModelReply]]], None]
"""Gets (place of the request, its reply), each place once."""


@runtime_checkable
class StreamingModel(Model, Protocol):
    """A model that hands replies on while it waits for the others of a batch."""

    def stream(self, requests: Sequence[Request], arrived: Arrived) -> list[ModelReply]:
        """As `reply`; `arrived` gets each reply soon after it came, on the calling thread, and the last before the
        return. What it raises ends the batch."""


@runtime_checkable
class Observed(Protocol):
    """A model that says what happened to its endpoints."""

    def take_events(self) -> Sequence[Any]:
        """Dataclasses of plain values; those since the last call, in order."""


def replies_of(model: Model, requests: Sequence[Request]) -> list[ModelReply]:
    """Asks any model; none where nothing is asked.

    Raises:
        ValueError: the model gave another number of replies, or something else; names it.
    """
    return _checked(model, requests, model.reply(requests) if requests else [])


def stream(model: Model, requests: Sequence[Request], arrived: Arrived) -> list[ModelReply]:
    """Asks any model: `arrived` gets the replies as they come, or all at the end from one that cannot stream. Raises as
    `replies_of` does."""
    if not isinstance(model, StreamingModel):
        replies = replies_of(model, requests)
        arrived(list(enumerate(replies)))
        return replies

    def some(new: Sequence[tuple[int, ModelReply]]) -> None:
        arrived([(place, check_reply(model, place, reply)) for place, reply in new])

    return _checked(model, requests, model.stream(requests, some))


def check_reply(model: Model, place: int, reply: Any) -> ModelReply:
    """What a model gave for one request, if it is a reply.

    Raises:
        ValueError: it is something else; names the model and the place.
    """
    if not isinstance(reply, ModelReply):
        raise ValueError(f"[Model.reply] {model.identity}: [{place}]: expected a ModelReply, got {reply!r:.60}")
    return reply


def _checked(model: Model, requests: Sequence[Request], replies: Any) -> list[ModelReply]:
    if not isinstance(replies, Sequence):
        raise ValueError(f"[Model.reply] {model.identity}: expected a list of replies, got {replies!r:.60}")
    check_rows("Model.reply", model.identity, len(requests), replies)
    return [check_reply(model, i, reply) for i, reply in enumerate(replies)]
