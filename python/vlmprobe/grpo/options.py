"""What a loss and an advantage are: options as plain values, and presets."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

from vlmprobe import _core

_native = _core.grpo
_loss_defaults = _native.DEFAULTS
_advantage_defaults = _native.ADVANTAGE_DEFAULTS


@dataclass(frozen=True)
class AdvantageOptions:
    """How rewards become advantages: `(R - baseline) / (max(std, minimum_std) + epsilon)`."""

    epsilon: float = _advantage_defaults["epsilon"]
    """Added to the standard deviation; in (0, inf)."""
    scale: str = _advantage_defaults["scale"]
    """Whose sample standard deviation divides: `group`, `batch`, or `none` (Dr. GRPO)."""
    baseline: str = _advantage_defaults["baseline"]
    """`mean` of the group, or `leave_one_out`: of its other members (RLOO)."""
    minimum_std: float = _advantage_defaults["minimum_std"]
    """The standard deviation is held to at least this; in [0, inf)."""
    singleton: str = _advantage_defaults["singleton"]
    """A group of one scorable member gets `zero`, or keeps its reward: `raw` (verl)."""

    def __post_init__(self) -> None:
        _ = self.packed  # ValueError for what the core would refuse

    @cached_property
    def packed(self) -> list[float]:
        """The options as the operator takes them."""
        return _native.pack_advantage_options(**dataclasses.asdict(self))


DEFAULT_ADVANTAGES = AdvantageOptions()
"""Mean of the group and its sample standard deviation + 1e-4, as the paper and TRL."""


@dataclass(frozen=True)
class LossOptions:
    """The loss's terms, weights and reduction. The presets are values; `dataclasses.replace` makes others."""

    policy: str = _loss_defaults["policy"]
    """The policy term: `clip` (PPO's), `cispo` or `sapo`."""
    ratio: str = _loss_defaults["ratio"]
    """pi/pi_old per `token`, or its geometric mean over the `sequence` (GSPO)."""
    clip_low: float = _loss_defaults["clip_low"]
    """The ratio is clipped at `1 - clip_low`; in [0, 1). Not used by cispo and sapo."""
    clip_high: float = _loss_defaults["clip_high"]
    """The ratio is clipped at `1 + clip_high`; in [0, inf). TRL's `epsilon_high` of cispo is one more than this."""
    dual_clip: float | None = _loss_defaults["dual_clip"]
    """Where A < 0 the objective is at least `dual_clip * A`; above 1 (3 in verl and OpenRLHF), None: off."""
    delta: float | None = _loss_defaults["delta"]
    """The unclipped ratio is held to at most this (two-sided clip, INTELLECT-2); above 0, None: off."""
    sapo_positive: float = _loss_defaults["sapo_positive"]
    """Sapo's temperature where A > 0; in (0, inf)."""
    sapo_negative: float = _loss_defaults["sapo_negative"]
    """Sapo's temperature elsewhere; in (0, inf)."""
    beta: float = _loss_defaults["beta"]
    """Weight of the KL to the reference policy; in [0, inf). With 0 it is a monitor."""
    kl: str = _loss_defaults["kl"]
    """Its estimator: `k1`, `k2` or `k3`."""
    kl_straight_through: bool = _loss_defaults["kl_straight_through"]
    """The estimator's value with the gradient of k2 (verl's `k3+`)."""
    kl_weighted: bool = _loss_defaults["kl_weighted"]
    """The KL times the ratio, differentiated through (TRL's `use_bias_correction_kl`)."""
    entropy_weight: float = _loss_defaults["entropy_weight"]
    """Weight of the entropy bonus; in [0, inf). With 0 it is a monitor."""
    reduction: str = _loss_defaults["reduction"]
    """`grpo` (mean of sequence means), `bnpo`, `dapo` (token means) or `dr_grpo` (tokens over a constant)."""

    def __post_init__(self) -> None:
        _ = self.packed  # ValueError for what the core would refuse

    @cached_property
    def packed(self) -> list[float]:
        """The options as the operators take them."""
        return _native.pack_loss_options(**dataclasses.asdict(self))


PAPER = LossOptions(**_native.PAPER)
"""The paper's objective: clip 0.2, beta 1e-2, mean of sequence means. The paper prints no numbers for these."""
TRL = LossOptions(**_native.TRL)
"""The defaults of TRL 1.16: clip 0.2, no KL, token mean over the optimiser window."""
VERL = LossOptions(**_native.VERL)
"""verl's GRPO: dual clip 3, KL k3 of weight 1e-3, token mean."""
OPENRLHF = LossOptions(**_native.OPENRLHF)
"""OpenRLHF's policy loss: clip 0.2, KL k3 of weight 1e-2, token mean."""
DR_GRPO = LossOptions(**_native.DR_GRPO)
"""Dr. GRPO: a constant normalizer, no KL. Its advantages have `scale="none"`."""
GSPO = LossOptions(**_native.GSPO)
"""GSPO: the ratio of the sequence, clipped at 1 - 3e-4 and 1 + 4e-4."""
PRESETS = {"paper": PAPER, "trl": TRL, "verl": VERL, "openrlhf": OPENRLHF, "dr_grpo": DR_GRPO, "gspo": GSPO}
"""The presets by name."""
