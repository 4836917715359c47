"""What a training step did, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlmprobe import grpo, reward
from vlmprobe.examine import Examined
from vlmprobe.rollout import Rollouts


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What a step did, in numbers; one line of metrics.jsonl."""

    step: int
    questions: int
    """Slots, k for each sequence."""
    valid: int
    """Valid questions."""
    wrong: int
    """Valid questions answered wrongly."""
    unscored: int
    """Questions whose reward is unknown."""
    calls: int
    """Answerer calls."""
    reward: float
    """Mean over the scorable sequences; NaN without any."""
    terms: Mapping[str, float]
    """Mean of each reward term over the questions for which it is known."""
    loss: float
    kl: float
    entropy: float
    clip_fraction: float
    grad_norm: float
    tokens: int
    """Completion tokens."""
    left_out: int = 0
    """Pictures that could not be read."""


def numbers_of(loss: grpo.Loss, grad_norm: float) -> dict[str, float]:
    """What the update did."""
    return {
        "loss": float(loss.loss.detach()),
        "kl": loss.kl,
        "entropy": loss.entropy,
        "clip_fraction": loss.clip_fraction,
        "grad_norm": grad_norm,
    }


def step_report(
    step: int,
    rollouts: Rollouts,
    examined: Examined,
    rewards: reward.Rewards,
    numbers: Mapping[str, Any],
    *,
    left_out: int = 0,
) -> StepReport:
    """The step's numbers."""
    valid = examined.valid == 1
    return StepReport(
        step=step,
        questions=len(examined.valid),
        valid=int(valid.sum()),
        wrong=int((valid & (examined.correct == 0)).sum()),
        unscored=int(rewards.question.isnan().sum()),
        calls=examined.calls + rollouts.calls,
        reward=float(rewards.total.nanmean()),
        terms={name: float(value.nanmean()) for name, value in rewards.terms.items()},
        tokens=int(rollouts.mask.sum()),
        left_out=left_out,
        **numbers,
    )
