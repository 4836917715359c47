"""Equal requests, and asking each of them once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from vlmprobe.models.model import Arrived, Model, ModelReply, Request, stream

KEY_VERSION = 1


def request_key(identity: str, request: Request, extra: str = "") -> str:
    """sha256 over all that decides a reply: version of this key, model and revision, messages with each image replaced
    by the hash of its bytes, sampling and seed, response schema, vote, and what a client adds to each body. The
    request's id is not in it."""
    messages = [[m.role, m.text, [image.sha256 for image in m.images]] for m in request.messages]
    parts = [KEY_VERSION, identity, messages, asdict(request.sampling), request.schema, request.vote]
    parts += [extra] if extra else []
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def extra_of(model: Model) -> str:
    """What a model adds to each request's body, as text; empty where it adds nothing or says nothing of it."""
    return str(getattr(model, "extra", ""))


def reply_once(
    model: Model,
    requests: Sequence[Request],
    *,
    find: Callable[[Sequence[str]], Mapping[str, ModelReply]],
    keep: Callable[[dict[str, ModelReply]], None],
    arrived: Arrived | None = None,
) -> list[ModelReply]:
    """[N] replies in the order of the requests; equal requests are one.

    Args:
        model: is asked what is not known.
        requests: [N].
        find: keys to the replies that are known.
        keep: gets what the model replied, by key, as it comes.
        arrived: hears of every reply, known or new, after it was kept.
    """
    keys = [request_key(model.identity, request, extra_of(model)) for request in requests]
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)

    def tell(some: Mapping[str, ModelReply]) -> None:
        if arrived is not None and some:
            arrived([(place, reply) for key, reply in some.items() for place in places[key]])

    known = dict(find(list(places)))
    tell(known)
    missing = [key for key in places if key not in known]

    def arrive(some: Sequence[tuple[int, ModelReply]]) -> None:
        new = {missing[i]: reply for i, reply in some}
        keep(new)
        known.update(new)
        tell(new)

    if missing:
        stream(model, [requests[places[key][0]] for key in missing], arrive)
    return [known[key] for key in keys]
