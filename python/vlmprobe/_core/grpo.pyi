from collections.abc import Sequence
from typing import Any

import torch

ADVANTAGE_DEFAULTS: dict[str, Any]
DEFAULTS: dict[str, Any]
DR_GRPO: dict[str, Any]
GSPO: dict[str, Any]
OPENRLHF: dict[str, Any]
PAPER: dict[str, Any]
TRL: dict[str, Any]
VERL: dict[str, Any]

class Advantages:
    @property
    def degenerate(self) -> torch.Tensor: ...
    @property
    def values(self) -> torch.Tensor: ...

def gdpo_advantages(
    rewards: torch.Tensor, group: torch.Tensor, weights: torch.Tensor | None, options: Sequence[float]
) -> Advantages: ...
def importance_weights(
    old_logp: torch.Tensor,
    sampling_logp: torch.Tensor,
    mask: torch.Tensor,
    level: str,
    mode: str,
    minimum: float,
    maximum: float,
) -> torch.Tensor: ...
def limit_simd(target: str | None) -> None: ...
def loss_from_logits_in_place(
    logits: torch.Tensor,
    tokens: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    old_logp: torch.Tensor | None,
    ref_logp: torch.Tensor | None,
    normalizer: torch.Tensor,
    temperature: float,
    options: Sequence[float],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]: ...
def normalizer(mask: torch.Tensor, reduction: str, max_length: int | None) -> float: ...
def pack_advantage_options(
    *, epsilon: float, scale: str, baseline: str, minimum_std: float, singleton: str
) -> list[float]: ...
def pack_loss_options(
    *,
    policy: str,
    ratio: str,
    clip_low: float,
    clip_high: float,
    dual_clip: float | None,
    delta: float | None,
    sapo_positive: float,
    sapo_negative: float,
    beta: float,
    kl: str,
    kl_straight_through: bool,
    kl_weighted: bool,
    entropy_weight: float,
    reduction: str,
) -> list[float]: ...
def question_advantages(
    question_rewards: torch.Tensor,
    sequence: torch.Tensor,
    token_begin: torch.Tensor,
    token_end: torch.Tensor,
    group: torch.Tensor,
    length: int,
    options: Sequence[float],
) -> Advantages: ...
def simd_targets() -> list[str]: ...
def token_logp_in_place(
    logits: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor | None, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]: ...
