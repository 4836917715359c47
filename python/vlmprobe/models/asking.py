"""What a verifier is asked, how its reply is taken, and when it is asked again.

A reply that is empty or cut is asked for once more, with more tokens; one that cannot be read, a stated number of
times. Everything else is as it came: a server's failures were retried by the model, or are not worth it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from vlmprobe.models.model import ModelReply, Request, Status
from vlmprobe.models.replies import Failure
from vlmprobe.models.verdict import Asked, Cause, Reading, read_verdict
from vlmprobe.models.votes import Vote
from vlmprobe.text import neutralise

RETRY = 1000  # a vote's second request has the vote's number and this, its third twice this


@dataclasses.dataclass
class Asking:
    """A vote, which may take several requests."""

    request: Request
    quoted: str = ""
    """What is judged: somebody else's words."""
    open: bool = True
    asked_again: int = 0
    enlarged: bool = False
    vote: Vote = dataclasses.field(default_factory=lambda: Vote(truths={}))

    def hear(self, reply: ModelReply, keys: Sequence[str], *, again: int, more_tokens: int) -> None:
        """Takes a reply; afterwards `open` says whether `request` is to be asked."""
        vote, whole = vote_of(reply, keys, Asked.OBJECT if self.request.schema else Asked.TAGS)
        if self.request.schema and _repeats(reply.text, self.quoted):
            vote, whole = unknown_vote(keys, "[repeats what it was asked about]", Failure.UNPARSABLE), False
        unsaid = not self.vote.truths or self.vote.failure is not None
        if unsaid or vote.failure in (None, Failure.BUDGET):
            self.vote = vote  # an outage does not undo what was said before it; a larger budget asks on
        sampling = self.request.sampling
        if vote.failure in (Failure.EMPTY, Failure.TRUNCATED) and not self.enlarged:
            self.enlarged = True
            sampling = dataclasses.replace(sampling, max_tokens=sampling.max_tokens * more_tokens)
        elif (vote.failure is Failure.UNPARSABLE or (vote.failure is None and not whole)) and self.asked_again < again:
            self.asked_again += 1
        else:
            self.open = False
            return
        if sampling.seed is not None:
            sampling = dataclasses.replace(sampling, seed=sampling.seed + RETRY)
        self.request = dataclasses.replace(self.request, sampling=sampling, vote=self.request.vote + RETRY)


def vote_of(reply: ModelReply, keys: Sequence[str], asked: Asked) -> tuple[Vote, bool]:
    """What a verifier's reply says where it was asked to, and whether it says something about every key."""
    if reply.status != Status.OK:
        return unknown_vote(keys, reply.error, Failure(reply.status.value)), False
    verdict = read_verdict(reply.text, keys, asked=asked)
    if verdict.reading != Reading.OK:
        return unknown_vote(keys, verdict.reason, Failure(verdict.reading.value)), False
    causes = [f"{key}: {cause}" for key, cause in verdict.causes.items() if cause != Cause.NONE]
    reason = " ".join([verdict.reason] * bool(verdict.reason) + [f"[{', '.join(causes)}]"] * bool(causes))
    said = verdict.whole or any(truth is not None for truth in verdict.truths.values())
    failure = None if said else Failure.UNPARSABLE
    return Vote(truths=verdict.truths, reason=reason, failure=failure), verdict.whole


def unknown_vote(keys: Sequence[str], reason: str, failure: Failure) -> Vote:
    """A vote that says nothing."""
    return Vote(truths=dict.fromkeys(keys), reason=reason, failure=failure)


def _repeats(said: str, quoted: str) -> bool:
    """Whether an object that is said stands in what is quoted, blanks aside. A server that passes over the schema lets
    a verifier reply with somebody else's words and nothing else."""
    begin, end = said.find("{"), said.rfind("}")
    return 0 <= begin < end and "".join(said[begin : end + 1].split()) in "".join(neutralise(quoted).split())


def schema_of(keys: Sequence[str]) -> str:
    """An object with the reason first, so that the verdict follows from it."""
    menu = {"type": "string", "enum": ["true", "false", "unknown"]}
    properties = {"reason": {"type": "string"}, **dict.fromkeys(keys, menu)}
    return json.dumps(
        {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    )
