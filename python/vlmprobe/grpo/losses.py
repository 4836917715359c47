"""The GRPO loss: from log-probabilities, from logits, from hidden states."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vlmprobe import _core
from vlmprobe.grpo.options import PAPER, LossOptions

_native = _core.grpo
_ops = torch.ops.vlmprobe


@dataclass(frozen=True)
class Loss:
    """The loss and its monitors: means over this call's unmasked tokens, NaN where there is nothing to average."""

    loss: Tensor
    """[] of logp's dtype, differentiable once."""
    monitors: Tensor
    """[6] float64: what the properties below read, in their order. Reading one waits for the device."""

    @property
    def kl(self) -> float:
        """Mean of the KL estimator, in nats, before weighting; NaN without `ref_logp`."""
        return float(self.monitors[0])

    @property
    def clip_fraction(self) -> float:
        """Share of tokens whose policy term is held and passes no gradient."""
        return float(self.monitors[1])

    @property
    def ratio_mean(self) -> float:
        """Mean of pi/pi_old."""
        return float(self.monitors[2])

    @property
    def ratio_max(self) -> float:
        """Largest pi/pi_old."""
        return float(self.monitors[3])

    @property
    def entropy(self) -> float:
        """Mean entropy, in nats; NaN where none was given."""
        return float(self.monitors[4])

    @property
    def tokens(self) -> int:
        """Unmasked tokens: the weight of these means."""
        return int(self.monitors[5])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(loss={float(self.loss.detach()):.6g}, kl={self.kl:.3g}, tokens={self.tokens})"


@dataclass(frozen=True, repr=False)
class TokenLoss(Loss):
    """A loss with the log-probabilities and entropies that were found on the way to it."""

    logp: Tensor
    """[B, T] nats, float32 (float64 for float64 logits), detached; 0 where the mask is false."""
    token_entropy: Tensor
    """[B, T] the same."""


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
    logp: Tensor,
    *,
    advantages: Tensor,
    mask: Tensor,
    normalizer: float | Tensor,
    old_logp: Tensor | None = None,
    ref_logp: Tensor | None = None,
    entropy: Tensor | None = None,
    options: LossOptions = PAPER,
) -> Loss:
    """The GRPO loss from log-probabilities, over the tokens where the mask is true.

    Args:
        logp: [B, T] float32 or float64, log-probabilities under the policy; the loss is differentiable in them.
        advantages: [B] or [B, T] float32 or float64, finite where the mask is true; a constant.
        mask: [B, T] bool. Masked positions are never read: they may hold anything, and their gradient is exactly 0.
        normalizer: a count for the whole optimiser window (see `normalizer`), or a tensor [] or [B].
        old_logp: [B, T] as logp, under the policy that sampled; a constant. By default the present ones: on-policy.
        ref_logp: [B, T] as logp, under the reference policy; needed unless `options.beta` is 0.
        entropy: [B, T] as logp, from `token_logp`; needed unless `options.entropy_weight` is 0.
        options: a preset, or another `LossOptions`.

    Returns:
        `Loss`. Empty tensors and fully masked rows are legal and add 0.

    Raises:
        ValueError: another shape, dtype, device or option; an advantage that is not finite.
        RuntimeError: from `backward(create_graph=True)`; the loss is differentiable once.

    Example:
        >>> logp = torch.tensor([[-1.0, -2.0]], requires_grad=True)
        >>> result = loss(logp, advantages=torch.tensor([2.0]), mask=torch.tensor([[True, True]]), normalizer=2,
        ...               options=TRL)
        >>> result.loss.item(), result.ratio_mean
        (-2.0, 1.0)

    Source: paper, equation 1; arXiv 2402.03300.
    """
    count = torch.as_tensor(normalizer, dtype=torch.float64)
    return Loss(*_ops.loss(logp, advantages, mask, old_logp, ref_logp, entropy, count, options.packed))


def loss_from_logits(
    logits: Tensor,
    tokens: Tensor,
    *,
    advantages: Tensor,
    mask: Tensor,
    normalizer: float | Tensor,
    old_logp: Tensor | None = None,
    ref_logp: Tensor | None = None,
    temperature: float = 1.0,
    options: LossOptions = PAPER,
    inplace: bool = False,
) -> TokenLoss:
    """The GRPO loss from logits; statistics, loss and gradient of each row while it is in cache.

    Args:
        logits: [B, T, V] float32, bfloat16, float16 or float64; the loss is differentiable in them.
        tokens: [B, T] int64, in [0, V) where the mask is true.
        advantages: [B] or [B, T] float32 or float64, finite where the mask is true; a constant.
        mask: [B, T] bool. Masked positions are never read: they may hold anything, and their gradient is exactly 0.
        normalizer: a count for the whole optimiser window (see `normalizer`), or a tensor [] or [B].
        old_logp: [B, T] float32 (float64 for float64 logits), under the policy that sampled; a constant. By default
            the present ones: on-policy.
        ref_logp: [B, T] as old_logp, under the reference policy; needed unless `options.beta` is 0.
        temperature: the one that sampled, in (0, inf).
        options: a preset, or another `LossOptions`.
        inplace: the gradient takes the memory of the logits, at once: they hold none afterwards. Not for
            `torch.compile`; can be used once.

    Returns:
        `TokenLoss`.

    Raises:
        ValueError: another shape, dtype, device or option; a token outside the vocabulary; an advantage that is not
            finite.
        RuntimeError: from `backward(create_graph=True)`.

    Example:
        >>> logits = torch.zeros(1, 2, 4, requires_grad=True)
        >>> result = loss_from_logits(logits, torch.tensor([[1, 3]]), advantages=torch.tensor([1.0]),
        ...                           mask=torch.tensor([[True, False]]), normalizer=1, options=TRL)
        >>> result.loss.backward()
        >>> logits.grad[0, 0]
        tensor([ 0.2500, -0.7500,  0.2500,  0.2500])

    Source: paper, equation 1.
    """
    call = _native.loss_from_logits_in_place if inplace else _ops.loss_from_logits
    count = torch.as_tensor(normalizer, dtype=torch.float64)
    return TokenLoss(*call(logits, tokens, advantages, mask, old_logp, ref_logp, count, temperature, options.packed))


def linear_loss(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    *,
    advantages: Tensor,
    mask: Tensor,
    normalizer: float | Tensor,
    old_logp: Tensor | None = None,
    ref_logp: Tensor | None = None,
    temperature: float = 1.0,
    banned: Tensor | None = None,
    options: LossOptions = PAPER,
    logits_bytes: int | None = None,
) -> TokenLoss:
    """The GRPO loss from hidden states and the head's weight, without ever holding all logits.

    Args:
        hidden: [B, T, H] float32, bfloat16, float16 or float64; the loss is differentiable in them.
        weight: [V, H] as hidden; the head is frozen, and one product of matrices saved, if it requires no gradient.
        tokens: [B, T] int64, in [0, V) where the mask is true.
        advantages: [B] or [B, T] float32 or float64, finite where the mask is true; a constant.
        mask: [B, T] bool. Masked positions are never read: they may hold anything, and their gradient is exactly 0.
        normalizer: a count for the whole optimiser window (see `normalizer`), or a tensor [] or [B].
        old_logp: [B, T] float32 (float64 for float64 hidden states), under the policy that sampled; a constant. By
            default the present ones: on-policy.
        ref_logp: [B, T] as old_logp, under the reference policy; needed unless `options.beta` is 0.
        temperature: the one that sampled, in (0, inf).
        banned: [n] int64 ids that no completion may hold, as when it was sampled; their logits are minus infinity.
        options: a preset, or another `LossOptions`.
        logits_bytes: budget of the chunk of logits that lives at a time; by default 128 MiB, 384 MiB with a trainable
            head. `64 << 20` is a low-memory form.

    Returns:
        `TokenLoss`.

    Raises:
        ValueError: as `loss_from_logits`, and a budget that is not positive.
        RuntimeError: from `backward(create_graph=True)`.

    Example:
        >>> hidden, weight = torch.ones(1, 2, 16, requires_grad=True), torch.zeros(4, 16, requires_grad=True)
        >>> result = linear_loss(hidden, weight, torch.tensor([[1, 3]]), advantages=torch.tensor([1.0]),
        ...                      mask=torch.tensor([[True, False]]), normalizer=1, options=TRL)
        >>> result.loss.backward()
        >>> weight.grad[:, 0]
        tensor([ 0.2500, -0.7500,  0.2500,  0.2500])

    Source: paper, equation 1.
    """
    count = torch.as_tensor(normalizer, dtype=torch.float64)
    batch = advantages, mask, old_logp, ref_logp, count
    return TokenLoss(
        *_ops.linear_loss(hidden, weight, tokens, *batch, temperature, logits_bytes, banned, options.packed)
    )
