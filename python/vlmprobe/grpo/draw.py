"""Drawing tokens from logits."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from vlmprobe import _core


class Drawn(NamedTuple):
    """One token per row, and its log-probability; unpacks as a pair."""

    token: Tensor
    """[N] int64."""
    logp: Tensor
    """[N] nats, float32 (float64 for float64 logits)."""


def draw_tokens(logits: Tensor, uniform: Tensor, *, temperature: float = 1.0) -> Drawn:
    """The first token of each row whose cumulative probability is above the row's number.

    Args:
        logits: [N, V] float32, bfloat16, float16 or float64; -inf bans a word, and no banned word is ever drawn.
        uniform: [N] float64 in [0, 1), on the CPU: random numbers of the caller's.
        temperature: in (0, inf).

    Returns:
        `Drawn`. A row's token does not depend on the other rows, nor on the number of threads.

    Raises:
        ValueError: another shape, dtype or value; a row that is NaN or banned throughout.

    Example:
        >>> draw_tokens(torch.tensor([[0.0, 0.0, 0.0, 0.0]]), torch.tensor([0.6], dtype=torch.float64)).token
        tensor([2])
    """
    return Drawn(*_core.grpo.draw_tokens(logits, uniform, temperature))


def linear_draw(
    hidden: Tensor, weight: Tensor, uniform: Tensor, *, temperature: float = 1.0, banned: Tensor | None = None
) -> Drawn:
    """As `draw_tokens`, from hidden states and the head's weight, without ever holding the logits of many rows.

    Args:
        hidden: [N, H] float32, bfloat16, float16 or float64.
        weight: [V, H] as hidden.
        uniform, temperature: as for `draw_tokens`.
        banned: [n] int64 ids that are never drawn.

    Returns:
        `Drawn`.

    Raises:
        ValueError: another shape, dtype or value.

    Example:
        >>> linear_draw(torch.zeros(1, 16), torch.zeros(4, 16), torch.tensor([0.6], dtype=torch.float64),
        ...             banned=torch.tensor([2])).token
        tensor([1])
    """
    return Drawn(*_core.grpo.linear_draw(hidden, weight, uniform, temperature, banned))
