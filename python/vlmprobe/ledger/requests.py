"""Equal requests, and asking each of them once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from vlmprobe._checks import check_rows
from vlmprobe.models.model import ModelReply, Request

KEY_VERSION = 1


def request_key(identity: str, request: Request) -> str:
    """sha256 over all that decides a reply: version of this key, model and revision, messages with each image replaced
    by the hash of its bytes, sampling and seed, response schema, vote. The request's id is not in it."""
    messages = [[m.role, m.text, [image.sha256 for image in m.images]] for m in request.messages]
    parts = [KEY_VERSION, identity, messages, asdict(request.sampling), request.schema, request.vote]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def reply_once(
    op: str,
    identity: str,
    requests: Sequence[Request],
    *,
    find: Callable[[Sequence[str]], Mapping[str, ModelReply]],
    ask: Callable[[list[Request]], list[ModelReply]],
    keep: Callable[[dict[str, ModelReply]], None],
) -> list[ModelReply]:
    """[N] replies in the order of the requests; equal requests are one.

    Args:
        op: who asks, for errors.
        identity: of the model.
        requests: [N].
        find: keys to the replies that are known.
        ask: asks the model.
        keep: gets what the model replied, by key.
    """
    keys = [request_key(identity, request) for request in requests]
    first = dict(zip(reversed(keys), reversed(requests), strict=True))
    known = dict(find(list(first)))
    missing = [key for key in dict.fromkeys(keys) if key not in known]
    if missing:
        replies = ask([first[key] for key in missing])
        check_rows(op, "model.reply", len(missing), replies)
        new = dict(zip(missing, replies, strict=True))
        keep(new)
        known |= new
    return [known[key] for key in keys]
