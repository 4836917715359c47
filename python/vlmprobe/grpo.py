"""GRPO on tensors: group advantages, log-probabilities, the clipped loss with its KL, and presets.

Formulas and edge cases are told once, in `include/vlmprobe/grpo/`. A step in full:

    logp, entropy = grpo.token_logp(logits, tokens, mask=mask)
    advantages = grpo.group_advantages(rewards, group=group).values
    result = grpo.loss(logp, old_logp=old_logp, advantages=advantages, mask=mask, ref_logp=ref_logp,
                       normalizer=grpo.normalizer(mask), options=grpo.PAPER)
    result.loss.backward()

Differences from the paper: the ratio is pi/pi_old (it is printed upside down), the KL is k3 with safe tails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from vlmprobe import _core

_native = _core.grpo
_advantage_defaults = _native.AdvantageOptions()
_loss_defaults = _native.LossOptions()


@dataclass(frozen=True)
class AdvantageOptions:
    """How advantages are scaled."""

    epsilon: float = _advantage_defaults.epsilon
    """Added to the standard deviation; in (0, inf)."""
    scale: bool = _advantage_defaults.scale
    """False: `R - mean`, not divided by anything (Dr. GRPO)."""

    def _to_core(self) -> _native.AdvantageOptions:
        return _native.AdvantageOptions(epsilon=self.epsilon, scale=self.scale)


@dataclass(frozen=True)
class LossOptions:
    """The loss's weights and its reduction. `PAPER` and `TRL` are two values; `dataclasses.replace` makes others."""

    clip_low: float = _loss_defaults.clip_low
    """The ratio is clipped at `1 - clip_low`; in [0, 1)."""
    clip_high: float = _loss_defaults.clip_high
    """The ratio is clipped at `1 + clip_high`; in [0, inf)."""
    beta: float = _loss_defaults.beta
    """Weight of the KL (k3) to the reference policy; in [0, inf). With 0 it is a monitor."""
    entropy_weight: float = _loss_defaults.entropy_weight
    """Weight of the entropy bonus; in [0, inf). With 0 it is a monitor."""
    reduction: str = _loss_defaults.reduction
    """`grpo` (mean of sequence means), `bnpo`, `dapo` (token means) or `dr_grpo` (tokens over a constant)."""

    def __post_init__(self) -> None:
        self._to_core()  # ValueError for what the core would refuse

    def _to_core(self) -> _native.LossOptions:
        return _native.LossOptions(
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            beta=self.beta,
            entropy_weight=self.entropy_weight,
            reduction=self.reduction,
        )


def _from_native(options: _native.LossOptions) -> LossOptions:
    return LossOptions(
        clip_low=options.clip_low,
        clip_high=options.clip_high,
        beta=options.beta,
        entropy_weight=options.entropy_weight,
        reduction=options.reduction,
    )


PAPER = _from_native(_native.PAPER)
"""The paper's objective: clip 0.2, beta 1e-2, mean of sequence means. The paper prints no numbers for these."""
TRL = _from_native(_native.TRL)
"""The defaults of TRL 1.16: clip 0.2, no KL, token mean over the optimiser window."""
PRESETS = {"paper": PAPER, "trl": TRL}
"""The presets by name."""


@dataclass(frozen=True)
class Advantages:
    """Advantages and which rows carry no signal."""

    values: torch.Tensor
    """[B], or [B, T] with credit per question; dtype and device of the rewards."""
    degenerate: torch.Tensor
    """[B] bool: fewer than two scorable rewards in the row's group, or all equal. Their values are exactly 0."""

    def __repr__(self) -> str:
        count = int(self.degenerate.sum())
        return f"Advantages(values={list(self.values.shape)}, degenerate={count} of {len(self.degenerate)})"


@dataclass(frozen=True)
class Loss:
    """The loss and its monitors: means over this call's unmasked tokens, NaN where there is nothing to average."""

    loss: torch.Tensor
    """[] of logp's dtype, differentiable once in logp and, if its weight is not 0, in entropy."""
    kl: float
    """Mean k3 to the reference policy, in nats, before weighting; NaN without `ref_logp`."""
    clip_fraction: float
    """Share of tokens whose policy term is clipped and passes no gradient."""
    ratio_mean: float
    """Mean of pi/pi_old."""
    ratio_max: float
    """Largest pi/pi_old."""
    entropy: float
    """Mean entropy, in nats; NaN without `entropy`."""
    tokens: int
    """Unmasked tokens: the weight of these means."""


class TokenLogp(NamedTuple):
    """Log-probability of the sampled tokens and entropy of their distributions; unpacks as a pair."""

    logp: torch.Tensor
    """[...] nats, float32 (float64 for float64 logits), differentiable."""
    entropy: torch.Tensor
    """[...] nats, the same."""


def group_advantages(
    rewards: torch.Tensor, *, group: torch.Tensor, options: AdvantageOptions = AdvantageOptions()
) -> Advantages:
    """Group-relative advantages, `(R - mean) / (std + epsilon)` over the scorable members of each group.

    Args:
        rewards: [B] float32 or float64; NaN marks an unscored sequence, which gets 0 and enters no statistics.
        group: [B] int64, any labels in any order; groups may differ in size.
        options: epsilon and whether to divide by the sample standard deviation.

    Returns:
        `Advantages` with values [B]; a group without signal is exactly 0 and flagged.

    Raises:
        ValueError: another shape or dtype, an infinite reward, epsilon outside (0, inf).

    Example:
        >>> group_advantages(torch.tensor([0.0, 1.0, 2.0]), group=torch.tensor([7, 7, 7])).values
        tensor([-0.9999,  0.0000,  0.9999])

    Source: arXiv 2402.03300, section 4.1.
    """
    result = _native.group_advantages(rewards, group, options._to_core())
    return Advantages(values=result.values, degenerate=result.degenerate)


def question_advantages(
    question_rewards: torch.Tensor,
    *,
    sequence: torch.Tensor,
    token_begin: torch.Tensor,
    token_end: torch.Tensor,
    group: torch.Tensor,
    length: int,
    options: AdvantageOptions = AdvantageOptions(),
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
        question_rewards, sequence, token_begin, token_end, group, length, options._to_core()
    )
    return Advantages(values=result.values, degenerate=result.degenerate)


def token_logp(
    logits: torch.Tensor, tokens: torch.Tensor, *, temperature: float = 1.0, mask: torch.Tensor | None = None
) -> TokenLogp:
    """Log-probability of the given tokens and entropy of each distribution, at a temperature.

    Args:
        logits: [..., V], any floating dtype; dtypes below float32 are widened to it first. -inf bans a token.
        tokens: [...] int64, in [0, V) where the mask is true.
        temperature: the one that sampled, in (0, inf).
        mask: [...] bool; masked positions give 0 and pass no gradient, whatever they hold.

    Returns:
        `TokenLogp`, the pair (logp [...], entropy [...]), both differentiable in the logits.

    Raises:
        ValueError: another shape or dtype, a token outside the vocabulary, a temperature out of range.

    Example:
        >>> logp, entropy = token_logp(torch.zeros(1, 4), torch.tensor([2]))
        >>> logp, entropy
        (tensor([-1.3863]), tensor([1.3863]))
    """
    result = _native.token_logp(logits, tokens, temperature, mask)
    return TokenLogp(logp=result.logp, entropy=result.entropy)


def normalizer(mask: torch.Tensor, *, reduction: str = PAPER.reduction, max_length: int | None = None) -> float:
    """Counts what the loss is divided by. Counts of the micro-batches of one optimiser step add up.

    Args:
        mask: [B, T] bool, true for completion tokens.
        reduction: `grpo` counts sequences, `bnpo` and `dapo` tokens, `dr_grpo` sequences times `max_length`.
        max_length: the longest completion that generation allows; needed by `dr_grpo` only.

    Returns:
        The count.

    Raises:
        ValueError: another shape or dtype, an unknown reduction, `max_length` missing or below 1.

    Example:
        >>> normalizer(torch.tensor([[True, True], [True, False]]), reduction="dapo")
        3.0
    """
    return _native.normalizer(mask, reduction, max_length)


def loss(
    logp: torch.Tensor,
    *,
    old_logp: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    normalizer: float | torch.Tensor,
    ref_logp: torch.Tensor | None = None,
    entropy: torch.Tensor | None = None,
    options: LossOptions = PAPER,
) -> Loss:
    """The clipped GRPO loss with its KL and entropy terms, over the tokens where the mask is true.

    Args:
        logp: [B, T] float32 or float64, log-probabilities under the policy; the loss is differentiable in them.
        old_logp: [B, T] as logp, under the policy that sampled; a constant.
        advantages: [B] or [B, T] float32 or float64; a constant.
        mask: [B, T] bool. Masked positions are never read: they may hold anything, and their gradient is exactly 0.
        normalizer: a count for the whole optimiser window (see `normalizer`), or [B] with one per sequence.
        ref_logp: [B, T] as logp, under the reference policy; needed unless `options.beta` is 0.
        entropy: [B, T] as logp, from `token_logp`; needed unless `options.entropy_weight` is 0.
        options: `PAPER`, `TRL`, or another `LossOptions`.

    Returns:
        `Loss`. Empty tensors and fully masked rows are legal and add 0.

    Raises:
        ValueError: another shape, dtype or option.
        RuntimeError: from `backward(create_graph=True)`; the loss is differentiable once.

    Example:
        >>> logp = torch.tensor([[-1.0, -2.0]], requires_grad=True)
        >>> result = loss(logp, old_logp=logp.detach(), advantages=torch.tensor([2.0]),
        ...               mask=torch.tensor([[True, True]]), normalizer=2, options=TRL)
        >>> result.loss.item(), result.ratio_mean
        (-2.0, 1.0)

    Source: paper, equation 1; arXiv 2402.03300.
    """
    result = _native.loss(
        logp,
        old_logp,
        advantages,
        mask,
        ref_logp,
        entropy,
        torch.as_tensor(normalizer, dtype=torch.float64),
        options._to_core(),
    )
    return Loss(
        loss=result.loss,
        kl=result.kl,
        clip_fraction=result.clip_fraction,
        ratio_mean=result.ratio_mean,
        ratio_max=result.ratio_max,
        entropy=result.entropy,
        tokens=result.tokens,
    )
