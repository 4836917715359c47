"""Requests and replies as the rows that the C++ core takes and gives, and a model in Python as one of the core's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from vlmprobe._native import core
from vlmprobe.models.model import (
    Charge,
    EncodedImage,
    Message,
    Model,
    ModelReply,
    Request,
    Sampling,
    Status,
    Usage,
    check_reply,
)


def request_row(request: Request) -> tuple:
    """A request for the core. A lone surrogate, which has no UTF-8, becomes U+FFFD on the way out."""
    messages = [(turn.role, _utf8(turn.text), [_image(image) for image in turn.images]) for turn in request.messages]
    sampling = request.sampling
    numbers = sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.seed
    return messages, *numbers, request.schema, request.id, request.vote


def request_of(row: Sequence[Any]) -> Request:
    """What the core asks of a model in Python."""
    messages, temperature, top_p, max_tokens, seed, schema, id, vote = row
    turns = [
        Message(role=role, text=text, images=[EncodedImage(data=i.data, media_type=i.media_type) for i in images])
        for role, text, images in messages
    ]
    sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
    return Request(messages=turns, sampling=sampling, schema=schema, id=id, vote=vote)


def reply_row(reply: ModelReply) -> tuple:
    """A reply for the core."""
    usage = reply.usage.prompt_tokens, reply.usage.completion_tokens
    said = str(reply.status), reply.text, reply.reasoning, reply.finish_reason
    charged = astuple(reply.charged or Charge())
    return *said, *usage, reply.latency_s, reply.attempts, reply.endpoint, reply.error, charged


def reply_of(row: Sequence[Any]) -> ModelReply:
    """What the core gives back."""
    status, text, reasoning, finish_reason, *tokens, latency_s, attempts, endpoint, error, charged = row
    prompt_tokens, completion_tokens = tokens
    calls, charged_prompt, charged_completion = charged
    return ModelReply(
        status=Status(status),
        text=text,
        reasoning=reasoning,
        finish_reason=finish_reason,
        usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens),
        latency_s=latency_s,
        attempts=attempts,
        endpoint=endpoint,
        error=error,
        charged=Charge(calls=calls, prompt_tokens=charged_prompt, completion_tokens=charged_completion),
    )


def to_core(model: Model) -> core.models.Model:
    """A model in Python as one that C++ code can ask; what it raises comes out of there with its traceback."""

    def call(rows: Sequence[Any]) -> list[tuple]:
        replies = model.reply([request_of(row) for row in rows])
        return [reply_row(check_reply(model, i, reply)) for i, reply in enumerate(replies)]

    return core.models.PythonModel(model.identity, call)


def _image(image: EncodedImage) -> core.models.EncodedImage:
    """Made once for each image object."""
    made = image.__dict__.get("_native")
    if made is None:
        made = core.models.EncodedImage(image.data, image.media_type)
        object.__setattr__(image, "_native", made)
    return made


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
