"""From completions to questions: response tags, prefixes, and quoting text to a verifier.

The rules (what each status means, what counts as a tag, how hostile bytes are cleaned) are stated once, in
``include/vlmprobe/text/responses.h``.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from vlmprobe import _core

DEFAULT_MAX_BYTES: int = _core.DEFAULT_MAX_BYTES
DEFAULT_PREFIX_LENGTH: int = _core.DEFAULT_PREFIX_LENGTH


class SlotStatus(enum.IntEnum):
    """What the parser found for one slot of a sequence; only ``ok`` carries a question."""

    ok = 0
    missing = 1
    empty = 2
    unclosed = 3
    duplicated = 4
    nested = 5
    out_of_order = 6
    too_long = 7


@dataclass(frozen=True, repr=False, eq=False)
class Questions:
    """The questions of a batch: one row per (sequence, slot), ordered by both; k rows per sequence.

    They are the core's table; a column becomes a tensor, or a list of texts, when it is first read.
    """

    native: _core.Questions
    """The table, for functions of the core: it costs no text."""

    @classmethod
    def of(
        cls,
        *,
        sequence: Sequence[int],
        slot: Sequence[int],
        status: Sequence[int],
        text: Sequence[str],
        k: int = 1,
        prefix_length: int = DEFAULT_PREFIX_LENGTH,
    ) -> Questions:
        """Questions that were parsed before, such as a ledger's: columns of Q values; they have no token spans.

        Raises:
            ValueError: columns of unequal length.
        """
        without = [-1] * len(text)
        columns = {"sequence": sequence, "slot": slot, "status": status, "token_begin": without, "token_end": without}
        return cls(_core.Questions(k=k, prefix_length=prefix_length, text=list(map(_bytes, text)), **columns))

    @property
    def k(self) -> int:
        """Slots per sequence."""
        return self.native.k

    @property
    def prefix_length(self) -> int:
        """Words of a prefix."""
        return self.native.prefix_length

    @cached_property
    def sequence(self) -> torch.Tensor:
        """[Q] int64: the completion's place in the batch."""
        return self.native.sequence

    @cached_property
    def slot(self) -> torch.Tensor:
        """[Q] int64: 0 .. k-1."""
        return self.native.slot

    @cached_property
    def status(self) -> torch.Tensor:
        """[Q] int8: a SlotStatus."""
        return self.native.status

    @cached_property
    def text(self) -> list[str]:
        """[Q]: the question; empty unless the status is ok."""
        return self.native.text

    @cached_property
    def token_begin(self) -> torch.Tensor:
        """[Q] int64: first token of the slot's span, tags included; -1 without a span."""
        return self.native.token_begin

    @cached_property
    def token_end(self) -> torch.Tensor:
        """[Q] int64: one past the span's last token; -1 without a span."""
        return self.native.token_end

    @cached_property
    def prefix(self) -> list[str]:
        """[Q]: the question's first words, as `prefix` cuts them."""
        return self.native.prefix

    @property
    def ok(self) -> torch.Tensor:
        """[Q] bool: rows with a question."""
        return self.status == SlotStatus.ok

    def __len__(self) -> int:
        return len(self.native)

    def __repr__(self) -> str:
        return f"Questions({len(self)} rows, k={self.k}, {int(self.ok.sum())} ok)"

    def __reduce__(self) -> tuple[Any, ...]:
        names = ("sequence", "slot", "status", "token_begin", "token_end")
        columns = {name: getattr(self.native, name).tolist() for name in names}
        return _restored, ({**columns, "text": self.text, "k": self.k, "prefix_length": self.prefix_length},)


def _restored(columns: dict[str, Any]) -> Questions:
    return Questions(_core.Questions(**columns))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def parse_responses(
    completions: Sequence[str | bytes],
    *,
    k: int,
    token_ends: Sequence[Sequence[int] | np.ndarray] | torch.Tensor | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    prefix_length: int = DEFAULT_PREFIX_LENGTH,
) -> Questions:
    """Find ``<response_i> ... </response_i>``, i = 1..k, in each completion.

    Args:
        completions: [B] texts or UTF-8 bytes; anything may be in them.
        k: Slots per completion, at least 1.
        token_ends: [B] rows of the *byte* offset (of the UTF-8 text) at which each token ends; non-decreasing, the last
            one is the text's length in bytes. Without it there are no spans.
        max_bytes: Longest question, in bytes of cleaned text.
        prefix_length: Words of a question's prefix, the paper's L.

    Returns:
        Questions with B * k rows.

    Raises:
        ValueError: k, max_bytes or prefix_length below 1, or token_ends that do not match; never because of a text.

    Example:
        >>> parse_responses(["<response_1> How many? </response_1>"], k=2).text
        ['How many?', '']
    """
    if isinstance(completions, (str, bytes)):
        raise ValueError("[text::parse_responses] completions: expected a list of texts, got one text")
    rows = [] if token_ends is None else _rows(token_ends)
    if token_ends is not None and len(rows) != len(completions):  # the core reads none as "not given"
        raise ValueError(
            f"[text::parse_responses] token_ends: expected one row per completion ({len(completions)}), got {len(rows)}"
        )
    try:
        table = _core.parse_responses(list(completions), k, rows, max_bytes, prefix_length)
    except TypeError:  # a lone surrogate, which has no UTF-8, or something that is no text
        table = _core.parse_responses([_bytes(text) for text in completions], k, rows, max_bytes, prefix_length)
    return Questions(table)


def _rows(token_ends: Sequence[Sequence[int] | np.ndarray] | torch.Tensor) -> list[Sequence[int]]:
    if isinstance(token_ends, torch.Tensor):
        return token_ends.tolist()
    return [row.tolist() if isinstance(row, (np.ndarray, torch.Tensor)) else row for row in token_ends]


def prefix(question: str, *, length: int = DEFAULT_PREFIX_LENGTH) -> str:
    """The first ``length`` words of a question: lower case, without punctuation, accents in one piece, in half width,
    without what nobody sees. Where words have no blanks between them (Chinese, Japanese, Thai, Lao, Khmer, Burmese), a
    character with its signs is a word.

    Args:
        question: Any text.
        length: Words, at least 1; the paper's L.

    Returns:
        The words joined by one blank; fewer where the question has fewer.

    Raises:
        ValueError: length below 1.

    Example:
        >>> prefix("How many, red circles?")
        'how many'
        >>> prefix("图片中有几只猫？")
        '图 片'
    """
    return _core.prefix(question.encode("utf-8", "replace"), length)


def prefixes(questions: Sequence[str], *, length: int = DEFAULT_PREFIX_LENGTH) -> list[str]:
    """`prefix` of each question, in one call.

    Args:
        questions: [n] texts.
        length: Words, at least 1; the paper's L.

    Raises:
        ValueError: length below 1, or one text in place of a list.

    Example:
        >>> prefixes(["How many, red circles?", "Why?"])
        ['how many', 'why']
    """
    if isinstance(questions, str):
        raise ValueError("[text::prefixes] questions: expected a list of texts, got one text")
    try:
        return _core.prefixes(list(questions), length)
    except TypeError:  # a lone surrogate, which has no UTF-8
        return _core.prefixes([question.encode("utf-8", "replace") for question in questions], length)


def said(reply: str) -> str | None:
    """What a model says after its thinking, as it is; None when the thinking has no end.

    The marks are those of ``include/vlmprobe/text/thinking.h``.

    Example:
        >>> said("<think>Or blue?</think>red"), said("red"), said("<think>Or")
        ('red', 'red', None)
    """
    found = _core.said(reply.encode("utf-8", "replace"))
    return reply if found is not None and len(found) == len(reply) else found


def neutralise(quoted: str) -> str:
    """Text that can be quoted between tags of a prompt: every ``<`` and ``>`` becomes ‹ and ›, and marks in brackets
    such as ``[INST]`` and ``[/THINK]`` become ⁅INST⁆ and ⁅/THINK⁆.

    Example:
        >>> neutralise("</question>")
        '‹/question›'
    """
    return _core.neutralise(quoted.encode("utf-8", "replace"))
