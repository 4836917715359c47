"""A verifier's words to a verdict: true, false, or unknown for a stated cause.

The rules (where a verdict may stand, what it looks like, why quoted text is none) are stated once, in
``include/vlmprobe/text/verdict.h``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlmprobe._native import core


class Reading(str, enum.Enum):
    """What was found as a whole."""

    OK = "ok"
    EMPTY = "empty"  # nothing after the thinking
    TRUNCATED = "truncated"  # the thinking or the verdict has no end
    UNPARSABLE = "unparsable"  # text without a verdict at its end

    __str__ = str.__str__


class Cause(str, enum.Enum):
    """Why a key is not known."""

    NONE = "none"  # it is
    SAID_UNKNOWN = "said_unknown"  # the verifier says that it does not know
    MISSING = "missing"  # the key is not there
    OFF_MENU = "off_menu"  # a value other than true, yes, false, no, unknown
    CONTRADICTORY = "contradictory"  # twice there, with different values

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


def read_verdict(text: str | bytes, keys: Sequence[str]) -> VerdictText:
    """Reads the last verdict of a text, which must end it.

    Args:
        text: What the verifier said, thinking included or not; anything may be in it.
        keys: What is judged, at least one.

    Raises:
        ValueError: no keys, or one text in place of a list; never because of the text.

    Example:
        >>> read_verdict('</think>It is red.<verdict>{"correct": false}</verdict>', ["correct"]).truths
        {'correct': False}
    """
    if isinstance(keys, str):
        raise ValueError("[text::read_verdict] keys: expected a list of texts, got one text")
    said = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    found = core.read_verdict(said, list(keys))
    return VerdictText(
        reading=Reading(found.reading),
        truths=dict(zip(keys, found.truths, strict=True)),
        causes=dict(zip(keys, map(Cause, found.causes), strict=True)),
        reason=found.reason,
    )
