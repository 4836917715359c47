"""From rewards to advantages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vlmprobe import _core
from vlmprobe.grpo.options import DEFAULT_ADVANTAGES, AdvantageOptions

_native = _core.grpo
_ops = torch.ops.vlmprobe


@dataclass(frozen=True)
class Advantages:
    """Advantages and which rows carry no signal."""

    values: Tensor
    """[B], or [B, T] with credit per question; dtype and device of the rewards."""
    degenerate: Tensor
    """[B] bool: fewer than two scorable rewards in the row's group, or all equal. Their values are exactly 0."""

    def __repr__(self) -> str:
        count = int(self.degenerate.sum())
        return f"Advantages(values={list(self.values.shape)}, degenerate={count} of {len(self.degenerate)})"


def group_advantages(rewards: Tensor, *, group: Tensor, options: AdvantageOptions = DEFAULT_ADVANTAGES) -> Advantages:
    """Group-relative advantages, `(R - baseline) / (std + epsilon)` over the scorable members of each group.

    Args:
        rewards: [B] float32 or float64; NaN marks an unscored sequence, which gets 0 and enters no statistics.
        group: [B] int64, any labels in any order; groups may differ in size.
        options: baseline, scale and edge cases.

    Returns:
        `Advantages` with values [B]; a group without signal is exactly 0 and flagged.

    Raises:
        ValueError: another shape or dtype, an infinite reward, epsilon outside (0, inf).

    Example:
        >>> group_advantages(torch.tensor([0.0, 1.0, 2.0]), group=torch.tensor([7, 7, 7])).values
        tensor([-0.9999,  0.0000,  0.9999])

    Source: arXiv 2402.03300, section 4.1.
    """
    return Advantages(*_ops.group_advantages(rewards, group, options.packed))


def gdpo_advantages(
    rewards: Tensor,
    *,
    group: Tensor,
    weights: Tensor | None = None,
    options: AdvantageOptions = DEFAULT_ADVANTAGES,
) -> Advantages:
    """Advantages from K rewards, each normalised in its group before they are added (GDPO).

    Args:
        rewards: [B, K] float32 or float64; NaN marks an unscored reward, which adds nothing.
        group: [B] int64, any labels in any order.
        weights: [K] float32 or float64, by default 1 each.
        options: of the normalisation of each reward; `epsilon` also of the sum's over the batch.

    Returns:
        `Advantages` with values [B], of mean 0 over the scored rows; `degenerate` where no reward carries a signal.

    Raises:
        ValueError: another shape or dtype, an infinite reward, a weight that is not finite.

    Example:
        >>> rewards = torch.tensor([[0.0, 5.0], [1.0, 5.0], [0.0, 9.0], [0.0, 5.0]])
        >>> gdpo_advantages(rewards, group=torch.tensor([0, 0, 1, 1])).values
        tensor([-0.8659,  0.8659,  0.8660, -0.8660])

    Source: arXiv 2601.05242.
    """
    result = _native.gdpo_advantages(rewards, group, weights, options.packed)
    return Advantages(values=result.values, degenerate=result.degenerate)


def question_advantages(
    question_rewards: Tensor,
    *,
    sequence: Tensor,
    token_begin: Tensor,
    token_end: Tensor,
    group: Tensor,
    length: int,
    options: AdvantageOptions = DEFAULT_ADVANTAGES,
) -> Advantages:
    """Credit per question: each question's advantage on its own tokens, the sequence's on the others.

    Statistics are over all scorable questions of the group. Tokens outside the spans get `group_advantages` of the
    sequences' means. A question without a span enters the statistics only; the span of an unscored question is 0.

    Args:
        question_rewards: [Q] float32 or float64; NaN marks an unscored question.
        sequence: [Q] int64, row of the question's completion, in [0, B).
        token_begin: [Q] int64, first token of the span; -1 without a span.
        token_end: [Q] int64, one past its last token; -1 without a span.
        group: [B] int64, any labels in any order.
        length: T, the completion width of the batch.
        options: as for `group_advantages`.

    Returns:
        `Advantages` with values [B, T].

    Raises:
        ValueError: another shape or dtype, a sequence or span out of range, an infinite reward.

    Example:
        >>> index = torch.tensor
        >>> question_advantages(torch.tensor([0.0, 2.0]), sequence=index([0, 1]), token_begin=index([0, -1]),
        ...                     token_end=index([1, -1]), group=index([0, 0]), length=2).values
        tensor([[-0.7071, -0.7071],
                [ 0.7071,  0.7071]])
    """
    result = _native.question_advantages(
        question_rewards, sequence, token_begin, token_end, group, length, options.packed
    )
    return Advantages(values=result.values, degenerate=result.degenerate)


def importance_weights(
    old_logp: Tensor,
    *,
    sampling_logp: Tensor,
    mask: Tensor,
    level: str = "token",
    mode: str = "truncate",
    minimum: float = 0.0,
    maximum: float = float("inf"),
) -> Tensor:
    """Weights of tokens that another policy sampled, such as an inference engine: multiply them into the advantages.

    Args:
        old_logp: [B, T] float32 or float64, under the policy as it was when the tokens were sampled.
        sampling_logp: [B, T] as old_logp, as the engine gave them; NaN where it did not: weight 1.
        mask: [B, T] bool.
        level: `token`: exp of the difference; `sequence`: exp of its sum over the mask, for every token.
        mode: `truncate` holds the weight to [minimum, maximum]; `mask` makes it 0 outside.
        minimum, maximum: 0 <= minimum <= maximum.

    Returns:
        [B, T]; 0 where the mask is false.

    Raises:
        ValueError: another shape, dtype, name or bound.

    Example:
        >>> importance_weights(torch.tensor([[-1.0, -1.0]]), sampling_logp=torch.tensor([[-1.0, -3.0]]),
        ...                    mask=torch.tensor([[True, True]]), maximum=2.0)
        tensor([[1., 2.]])
    """
    return _native.importance_weights(old_logp, sampling_logp, mask, level, mode, minimum, maximum)
