"""The batch, the settings and the calls of test_grpo_peers.py: TRL and Liger as installed, ours, on the same leaves."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import torch

from vlmprobe import grpo

MAX_LENGTH = 11  # of dr_grpo; longer than the batch is wide
UPSTREAM = 2.5  # d(what is differentiated) / d(loss): a gradient formed in the forward has to be scaled in the backward
LEAVES = {"logp": ("logp", "entropy"), "logits": ("logits",), "linear": ("hidden", "weight")}  # of each entrance
TOLERANCE = {torch.float64: 1e-10, torch.float32: 5e-6}  # absolute and relative; ten times TRL's own float32 error

# TRL's loss type -> our policy and reduction; what the normalizer counts is in `Setting.normalizer`.
LOSS_TYPES = {
    "grpo": ("clip", "grpo"),
    "bnpo": ("clip", "bnpo"),
    "dr_grpo": ("clip", "dr_grpo"),
    "dapo": ("clip", "dapo"),
    "luspo": ("clip", "dr_grpo"),
    "cispo": ("cispo", "dapo"),
    "sapo": ("sapo", "grpo"),
}


@dataclass(frozen=True)
class Setting:
    """A configuration in TRL's words."""

    loss_type: str = "dapo"
    level: str = "token"
    epsilon_low: float = 0.2
    epsilon_high: float = 0.2  # of cispo: the bound itself, our 1 + clip_high
    delta: float | None = None
    beta: float = 0.0
    bias_corrected_kl: bool = False
    sapo_temperatures: tuple[float, float] = (1.0, 1.0625)  # exact in float32, in which TRL keeps them
    entropy_coef: float = 0.0
    temperature: float = 1.0

    def options(self) -> grpo.LossOptions:
        policy, reduction = LOSS_TYPES[self.loss_type]
        return grpo.LossOptions(
            policy=policy,
            ratio=self.level,
            clip_low=self.epsilon_low,
            clip_high=self.epsilon_high - (1 if policy == "cispo" else 0),
            delta=math.inf if self.delta is None else self.delta,
            sapo_positive=self.sapo_temperatures[0],
            sapo_negative=self.sapo_temperatures[1],
            beta=self.beta,
            kl_weighted=self.bias_corrected_kl,
            entropy_weight=self.entropy_coef,
            reduction=reduction,
        )

    def normalizer(self, mask: torch.Tensor) -> float:
        if self.loss_type in ("grpo", "sapo", "luspo"):
            return len(mask)
        return len(mask) * MAX_LENGTH if self.loss_type == "dr_grpo" else int(mask.sum())


@dataclass(frozen=True)
class Batch:
    """Everything a loss may be given, clean behind the mask. B = 8, T = 7, H = 5."""

    hidden: torch.Tensor  # [B, T, H]
    weight: torch.Tensor  # [V, H]
    logits: torch.Tensor  # [B, T, V]
    tokens: torch.Tensor  # [B, T]
    mask: torch.Tensor  # [B, T]
    logp: torch.Tensor  # [B, T], as the four below
    entropy: torch.Tensor
    old_logp: torch.Tensor | None
    ref_logp: torch.Tensor
    sampling_logp: torch.Tensor
    advantages: torch.Tensor  # [B] or [B, T]

    def rows(self, begin: int, end: int) -> Batch:
        cut = {name: getattr(self, name)[begin:end] for name in vars(self) if name not in ("weight", "old_logp")}
        return dataclasses.replace(self, **cut, old_logp=None if self.old_logp is None else self.old_logp[begin:end])


def batch(
    dtype: torch.dtype,
    *,
    vocabulary: int = 13,
    temperature: float = 1.0,
    on_policy: bool = False,
    per_token: bool = False,
) -> Batch:
    """Padding, a hole, one token, an empty completion; ratios below, inside and above the clip for either sign of A."""
    draw = torch.Generator().manual_seed(1804)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=draw, dtype=torch.float64)

    hidden = torch.randn(8, 7, 5, generator=draw, dtype=torch.float64)
    weight = torch.randn(vocabulary, 5, generator=draw, dtype=torch.float64)
    tokens = torch.randint(vocabulary, (8, 7), generator=draw)
    mask = torch.arange(7) < torch.tensor([7, 3, 5, 0, 1, 6, 4, 2])[:, None]
    mask[0, 2] = False
    logits = hidden @ weight.T
    scores = torch.log_softmax(logits / temperature, -1)
    logp = scores.gather(-1, tokens[..., None]).squeeze(-1)
    log_ratio = torch.tensor([-0.5, 0.5, 0.05, 0.2, 0.6, -0.45, 0.02, -0.1], dtype=torch.float64)
    advantages = torch.tensor([1.3, -0.8, 0.6, 2.0, 0.9, -1.7, -0.7, 0.0], dtype=torch.float64)
    old_logp = logp - log_ratio[:, None] - uniform(-0.3, 0.3, 8, 7)
    ref_logp = logp + uniform(-1.2, 1.2, 8, 7)
    sampling_logp = old_logp + uniform(-0.6, 0.6, 8, 7)
    if per_token:
        advantages = advantages[:, None] + uniform(-1, 1, 8, 7)
    return Batch(
        hidden=hidden.to(dtype),
        weight=weight.to(dtype),
        logits=logits.to(dtype),
        tokens=tokens,
        mask=mask,
        logp=logp.to(dtype),
        entropy=-(scores.exp() * scores).sum(-1).to(dtype),
        old_logp=None if on_policy else old_logp.to(dtype),
        ref_logp=ref_logp.to(dtype),
        sampling_logp=sampling_logp.to(dtype),
        advantages=advantages.to(dtype),
    )


def poisoned(clean: Batch, poison: float) -> Batch:
    """`poison` and ids outside the vocabulary wherever the mask is false, and NaN for the advantages there."""
    masked, empty = ~clean.mask, ~clean.mask.any(1)
    changed = {
        name: getattr(clean, name).masked_fill(masked, poison)
        for name in ("logp", "entropy", "old_logp", "ref_logp", "sampling_logp")
        if getattr(clean, name) is not None
    }
    for name in ("hidden", "logits"):
        changed[name] = getattr(clean, name).masked_fill(masked[..., None], poison)
    where = empty if clean.advantages.dim() == 1 else masked
    return dataclasses.replace(
        clean,
        tokens=clean.tokens.masked_fill(masked, -100),
        advantages=clean.advantages.masked_fill(where, math.nan),
        **changed,
    )


def differentiate(
    function: Callable[[Batch], torch.Tensor], inputs: Batch, names: tuple[str, ...]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss and UPSTREAM times its gradient in each of `names`; a leaf the loss does not use has gradient 0."""
    leaves = {name: getattr(inputs, name).detach().clone().requires_grad_() for name in names}
    loss = function(dataclasses.replace(inputs, **leaves))
    found = torch.autograd.grad(UPSTREAM * loss, list(leaves.values()), allow_unused=True)
    gradients = {
        name: torch.zeros_like(leaf) if gradient is None else gradient
        for (name, leaf), gradient in zip(leaves.items(), found, strict=True)
    }
    return loss.detach(), gradients


def ours(entrance: str, setting: Setting, normalizer: float | None = None, **extra) -> Callable[[Batch], torch.Tensor]:
    """Our loss by one of its three entrances."""

    def loss(inputs: Batch) -> torch.Tensor:
        return our_result(entrance, setting, inputs, normalizer, **extra).loss

    return loss


def our_result(entrance: str, setting: Setting, inputs: Batch, normalizer: float | None = None, **extra) -> grpo.Loss:
    arguments = {
        "old_logp": inputs.old_logp,
        "advantages": inputs.advantages,
        "mask": inputs.mask,
        "normalizer": setting.normalizer(inputs.mask) if normalizer is None else normalizer,
        "ref_logp": inputs.ref_logp,
        "options": setting.options(),
        **extra,
    }
    if entrance == "logp":
        return grpo.loss(inputs.logp, entropy=inputs.entropy, **arguments)
    if entrance == "logits":
        return grpo.loss_from_logits(inputs.logits, inputs.tokens, temperature=setting.temperature, **arguments)
    return grpo.linear_loss(inputs.hidden, inputs.weight, inputs.tokens, temperature=setting.temperature, **arguments)


def trl(entrance: str, setting: Setting, **window) -> Callable[[Batch], torch.Tensor]:
    """TRL's loss of what its two functions make of the entrance's leaves."""

    def loss(inputs: Batch) -> torch.Tensor:
        return trl_loss(setting, inputs, *trl_logp_and_entropy(entrance, setting, inputs), **window)[0]

    return loss


def trl_logp_and_entropy(entrance: str, setting: Setting, inputs: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    from trl.trainer.utils import entropy_from_logits, selective_log_softmax

    if entrance == "logp":
        return inputs.logp, inputs.entropy
    logits = inputs.hidden @ inputs.weight.T if entrance == "linear" else inputs.logits
    logp = selective_log_softmax(logits, inputs.tokens, temperature=setting.temperature)
    return logp, entropy_from_logits(logits / setting.temperature)


def trl_loss(
    setting: Setting,
    inputs: Batch,
    logp: torch.Tensor,
    entropy: torch.Tensor,
    *,
    weights: torch.Tensor | None = None,
    window_tokens: int | None = None,
    accumulation: int = 1,
) -> tuple[torch.Tensor, dict[str, list[float]]]:
    """`GRPOTrainer._compute_loss` on a stand-in for the trainer, and the metrics it logged."""
    from trl.trainer.grpo_trainer import GRPOTrainer

    metrics = defaultdict(lambda: defaultdict(list))
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logp, entropy, None),
        _metrics=metrics,
        _entropy_bonus_enabled=setting.entropy_coef != 0,
        accelerator=SimpleNamespace(
            num_processes=1, sync_gradients=True, gather=lambda x: x, reduce=lambda x, reduction: x
        ),
        args=SimpleNamespace(
            delta=setting.delta,
            use_bias_correction_kl=setting.bias_corrected_kl,
            sapo_temperature_pos=setting.sapo_temperatures[0],
            sapo_temperature_neg=setting.sapo_temperatures[1],
            steps_per_generation=accumulation,
        ),
        aux_loss_enabled=False,
        beta=setting.beta,
        current_gradient_accumulation_steps=accumulation,
        entropy_coef=setting.entropy_coef,
        epsilon_high=setting.epsilon_high,
        epsilon_low=setting.epsilon_low,
        importance_sampling_level=setting.level,
        loss_type=setting.loss_type,
        max_completion_length=MAX_LENGTH,
        model=SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_adaptive_entropy=False,
        use_vllm=weights is not None,
        vllm_importance_sampling_correction=weights is not None,
    )
    prompt = torch.zeros(len(inputs.mask), 1, dtype=torch.int64)
    tokens = int(inputs.mask.sum()) if window_tokens is None else window_tokens
    arguments = {
        "prompt_ids": prompt,
        "prompt_mask": prompt + 1,
        "completion_ids": inputs.tokens,
        "completion_mask": inputs.mask.long(),
        "advantages": inputs.advantages,
        "ref_per_token_logps": inputs.ref_logp,
        "importance_sampling_ratio": weights,
        "num_items_in_batch": torch.tensor(tokens),
    }
    if inputs.old_logp is not None:
        arguments["old_per_token_logps"] = inputs.old_logp
    return GRPOTrainer._compute_loss(trainer, None, arguments), metrics["train"]


def liger(setting: Setting, *, weights: torch.Tensor | None = None) -> Callable[[Batch], torch.Tensor]:
    """Liger's fused linear loss; eager, because compiling needs no test of ours."""

    def loss(inputs: Batch) -> torch.Tensor:
        from liger_kernel.chunked_loss import LigerFusedLinearGRPOLoss

        module = LigerFusedLinearGRPOLoss(
            beta=setting.beta,
            compiled=False,
            use_ref_model=setting.beta != 0,
            epsilon_low=setting.epsilon_low,
            epsilon_high=setting.epsilon_high,
            loss_type=setting.loss_type,
            max_completion_length=MAX_LENGTH,
            importance_sampling_level=setting.level,
            sapo_temperature_pos=setting.sapo_temperatures[0],
            sapo_temperature_neg=setting.sapo_temperatures[1],
            temperature=setting.temperature,
            delta=setting.delta,
            use_bias_correction_kl=setting.bias_corrected_kl,
        )
        return module(
            inputs.hidden,
            inputs.weight,
            inputs.tokens,
            inputs.mask.long(),
            inputs.advantages,
            ref_per_token_logps=inputs.ref_logp,
            old_per_token_logps=inputs.old_logp,
            vllm_is_ratio=weights,
        )[0]

    return loss
