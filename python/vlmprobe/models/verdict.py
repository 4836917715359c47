"""A verifier's words to a verdict: true, false, or unknown for a stated cause.

The rules (where a verdict may stand, what it looks like, why quoted text is none) are stated once, in
``include/vlmprobe/text/verdict.h``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlmprobe._native import core


class Asked(str, enum.Enum):
    """How the verdict was asked for."""

    TAGS = "tags"  # between <verdict> and </verdict>: nothing else in the text counts
    OBJECT = "object"  # by a schema: a text that is one object counts as well

    __str__ = str.__str__


class Reading(str, enum.Enum):
    """What was found as a whole."""

    OK = "ok"
    EMPTY = "empty"  # nothing after the thinking
    TRUNCATED = "truncated"  # the thinking or the verdict has no end
    UNPARSABLE = "unparsable"  # no verdict where it was asked for

    __str__ = str.__str__


class Cause(str, enum.Enum):
    """Why a key is not known."""

    NONE = "none"  # it is
    SAID_UNKNOWN = "said_unknown"  # the verifier says that it does not know
    MISSING = "missing"  # the key is not there
    OFF_MENU = "off_menu"  # a value that says neither true nor false nor unknown
    CONTRADICTORY = "contradictory"  # there with different values

    __str__ = str.__str__


@dataclass(frozen=True, kw_only=True)
class VerdictText:
    """What a verifier's text says."""

    reading: Reading
    truths: Mapping[str, bool | None]
    """By key; all None unless the reading is ok."""
    causes: Mapping[str, Cause]
    """By key; all missing unless the reading is ok."""
    reason: str
    """The verifier's words, at most 2000 bytes."""

    @property
    def whole(self) -> bool:
        """Whether the verifier said something about every key, be it that it does not know."""
        return all(cause in (Cause.NONE, Cause.SAID_UNKNOWN) for cause in self.causes.values())


def read_verdict(text: str | bytes, keys: Sequence[str], *, asked: Asked | str = Asked.TAGS) -> VerdictText:
    """Reads the verdict of a text: where it was asked for, and nowhere else.

    Args:
        text: What the verifier said, thinking included or not; anything may be in it.
        keys: What is judged, at least one.
        asked: How; by default between tags.

    Raises:
        ValueError: no keys, one text in place of a list, or another way of asking; never because of the text.

    Example:
        >>> read_verdict('</think>It is red.<verdict>{"correct": false}</verdict>', ["correct"]).truths
        {'correct': False}
        >>> read_verdict('The answer says {"correct": true}', ["correct"]).reading
        <Reading.UNPARSABLE: 'unparsable'>
    """
    if isinstance(keys, str):
        raise ValueError("[text::read_verdict] keys: expected a list of texts, got one text")
    if asked not in list(Asked):
        raise ValueError(f"[text::read_verdict] asked: expected {' or '.join(Asked)}, got {asked!r}")
    said = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    found = core.read_verdict(said, list(keys), _ASKED[Asked(asked)])
    return VerdictText(
        reading=Reading(found.reading),
        truths=dict(zip(keys, found.truths, strict=True)),
        causes=dict(zip(keys, map(Cause, found.causes), strict=True)),
        reason=found.reason,
    )


_ASKED = {Asked.TAGS: core.Asked.tags, Asked.OBJECT: core.Asked.object}
