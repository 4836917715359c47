# vlmprobe._core.grpo (python/bindings/bind_grpo.cpp). The differentiable forms are torch.ops.vlmprobe.

from collections.abc import Sequence
from typing import Any, TypedDict

from torch import Tensor

from . import _Object

class _Loss(TypedDict):
    policy: str
    ratio: str
    clip_low: float
    clip_high: float
    dual_clip: float | None
    delta: float | None
    sapo_positive: float
    sapo_negative: float
    beta: float
    kl: str
    kl_straight_through: bool
    kl_weighted: bool
    entropy_weight: float
    reduction: str

class _Advantage(TypedDict):
    epsilon: float
    scale: str
    baseline: str
    minimum_std: float
    singleton: str

DEFAULTS: _Loss
PAPER: _Loss
TRL: _Loss
VERL: _Loss
OPENRLHF: _Loss
DR_GRPO: _Loss
GSPO: _Loss
ADVANTAGE_DEFAULTS: _Advantage

# The packed forms are what the operators take.
def pack_loss_options(**kwargs: Any) -> list[float]: ...
def pack_advantage_options(**kwargs: Any) -> list[float]: ...

class Advantages(_Object):
    @property
    def values(self) -> Tensor: ...
    @property
    def degenerate(self) -> Tensor: ...

def gdpo_advantages(rewards: Tensor, group: Tensor, weights: Tensor | None, options: Sequence[float]) -> Advantages: ...
def question_advantages(
    question_rewards: Tensor,
    sequence: Tensor,
    token_begin: Tensor,
    token_end: Tensor,
    group: Tensor,
    length: int,
    options: Sequence[float],
) -> Advantages: ...
def importance_weights(
    old_logp: Tensor,
    sampling_logp: Tensor,
    mask: Tensor,
    level: str,
    mode: str,
    minimum: float,
    maximum: float,
) -> Tensor: ...
def token_logp_in_place(
    logits: Tensor, tokens: Tensor, mask: Tensor | None, temperature: float
) -> tuple[Tensor, Tensor]: ...  # logp, entropy
def loss_from_logits_in_place(
    logits: Tensor,
    tokens: Tensor,
    advantages: Tensor,
    mask: Tensor,
    old_logp: Tensor | None,
    ref_logp: Tensor | None,
    normalizer: Tensor,
    temperature: float,
    options: Sequence[float],
) -> tuple[Tensor, Tensor, Tensor, Tensor]: ...  # loss, monitors, logp, token_entropy
def normalizer(mask: Tensor, reduction: str, max_length: int | None) -> float: ...
def draw_tokens(logits: Tensor, uniform: Tensor, temperature: float) -> tuple[Tensor, Tensor]: ...  # token, logp
def linear_draw(
    hidden: Tensor, weight: Tensor, uniform: Tensor, temperature: float, banned: Tensor | None
) -> tuple[Tensor, Tensor]: ...  # token, logp
def simd_targets() -> list[str]: ...
def limit_simd(target: str | None) -> None: ...
