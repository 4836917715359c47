"""From logits to log-probabilities and entropies."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from vlmprobe import _core
from vlmprobe.grpo.options import DR_GRPO

_native = _core.grpo
_ops = torch.ops.vlmprobe


class TokenLogp(NamedTuple):
    """Log-probability of the sampled tokens and entropy of their distributions; unpacks as a pair."""

    logp: Tensor
    """[...] nats, float32 (float64 for float64 logits), differentiable."""
    entropy: Tensor
    """[...] nats, the same."""


class TokenLogpArgmax(NamedTuple):
    """As `TokenLogp`, with the most likely token."""

    logp: Tensor
    entropy: Tensor
    argmax: Tensor
    """[...] int64, the lowest index of the largest logit; -1 where masked or NaN."""


def token_logp(
    logits: Tensor,
    tokens: Tensor,
    *,
    temperature: float = 1.0,
    mask: Tensor | None = None,
    inplace_backward: bool = False,
) -> TokenLogp:
    """Log-probability of the given tokens and entropy of each distribution, at a temperature, in one pass.

    Args:
        logits: [..., V] float32, bfloat16, float16 or float64; sums are in float32 and double. -inf bans a token.
        tokens: [...] int64, in [0, V) where the mask is true.
        temperature: the one that sampled, in (0, inf).
        mask: [...] bool; masked rows are not read: they give 0 and pass no gradient, whatever they hold.
        inplace_backward: backward writes the gradient over the logits, which then hold none; not for `torch.compile`.

    Returns:
        `TokenLogp`, the pair (logp [...], entropy [...]), both differentiable in the logits.

    Raises:
        ValueError: another shape, dtype or device, a token outside the vocabulary, a temperature out of range.

    Example:
        >>> logp, entropy = token_logp(torch.zeros(1, 4), torch.tensor([2]))
        >>> logp, entropy
        (tensor([-1.3863]), tensor([1.3863]))
    """
    if inplace_backward:
        return TokenLogp(*_native.token_logp_in_place(logits, tokens, mask, temperature))
    logp, entropy, _, _ = _ops.token_logp(logits, tokens, mask, temperature, False)
    return TokenLogp(logp, entropy)


@torch.no_grad()
def linear_logp(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    *,
    temperature: float = 1.0,
    mask: Tensor | None = None,
    banned: Tensor | None = None,
    logits_bytes: int | None = None,
) -> TokenLogp:
    """Log-probability of the given tokens from hidden states and the head's weight, without gradient: a reference's.

    Args:
        hidden: [B, T, H] float32, bfloat16, float16 or float64.
        weight: [V, H] as hidden.
        tokens, temperature, mask: as for `token_logp`, [B, T].
        banned: [n] int64 ids whose logits are minus infinity.
        logits_bytes: budget of the chunk of logits that lives at a time; by default 128 MiB.

    Returns:
        `TokenLogp`, the pair (logp [B, T], entropy [B, T]).

    Raises:
        ValueError: as `token_logp`.

    Example:
        >>> linear_logp(torch.zeros(1, 1, 16), torch.zeros(4, 16), torch.tensor([[2]])).logp
        tensor([[-1.3863]])
    """
    mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
    wide = torch.float64 if hidden.dtype == torch.float64 else torch.float32
    flat = torch.zeros(len(tokens), dtype=wide, device=hidden.device)
    count = torch.ones((), dtype=torch.float64)
    _, _, logp, entropy = _ops.linear_loss(
        hidden, weight, tokens, flat, mask, None, None, count, temperature, logits_bytes, banned, DR_GRPO.packed
    )
    return TokenLogp(logp, entropy)


def token_logp_and_argmax(
    logits: Tensor, tokens: Tensor, *, temperature: float = 1.0, mask: Tensor | None = None
) -> TokenLogpArgmax:
    """As `token_logp`, and in the same pass the most likely token of each row.

    Args:
        logits, tokens, temperature, mask: as for `token_logp`.

    Returns:
        `TokenLogpArgmax`, the triple (logp, entropy, argmax).

    Raises:
        ValueError: as `token_logp`.

    Example:
        >>> token_logp_and_argmax(torch.tensor([[0.0, 2.0, 1.0]]), torch.tensor([0])).argmax
        tensor([1])
    """
    logp, entropy, _, argmax = _ops.token_logp(logits, tokens, mask, temperature, True)
    return TokenLogpArgmax(logp, entropy, argmax)
