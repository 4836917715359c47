"""The calls of vlmprobe that are measured. Each returns what `reference.py` checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from vlmprobe import grpo

from .problems import BETA, CLIP, LinearProblem, LogitsProblem, RewardProblem

OPTIONS = replace(grpo.PAPER, clip_low=CLIP, clip_high=CLIP, beta=BETA, reduction="grpo")


class Model(torch.autograd.Function):
    """Stands for the model under the logits: hands out their memory and receives their gradient.

    A leaf would copy a gradient that shares its memory; the output of a model's head does not.
    """

    @staticmethod
    def forward(ctx, anchor, logits, received):
        ctx.received = received
        return logits.data

    @staticmethod
    def backward(ctx, gradient):
        ctx.received.append(gradient)
        return torch.zeros(()), None, None


def token_logp(problem: LogitsProblem, mask: torch.Tensor | None) -> dict:
    with torch.no_grad():
        found = grpo.token_logp(problem.logits, problem.tokens, mask=mask)
    return {"logp": found.logp, "entropy": found.entropy}


def loss_from_logits(problem: LogitsProblem, mask: torch.Tensor, *, inplace: bool) -> dict:
    received: list[torch.Tensor] = []
    anchor = torch.zeros((), requires_grad=True)
    logits = Model.apply(anchor, problem.live if inplace else problem.logits, received)
    found = grpo.loss_from_logits(logits, problem.tokens, **loss_arguments(problem, mask), inplace=inplace)
    found.loss.backward()
    return {"loss": found.loss, "logp": found.logp, "entropy": found.token_entropy, "gradient": received[0]}


def linear_loss(problem: LinearProblem, mask: torch.Tensor, *, logits_bytes: int | None = None) -> dict:
    arguments = loss_arguments(problem, mask) | {"logits_bytes": logits_bytes}
    found = grpo.linear_loss(problem.hidden, problem.weight, problem.tokens, **arguments)
    found.loss.backward()
    return {
        "loss": found.loss,
        "logp": found.logp,
        "entropy": found.token_entropy,
        "hidden_gradient": problem.hidden.grad,
        "weight_gradient": problem.weight.grad,
    }


def group_advantages(problem: RewardProblem) -> dict:
    found = grpo.group_advantages(problem.rewards, group=problem.group)
    return {"values": found.values, "degenerate": found.degenerate}


def loss_arguments(problem, mask: torch.Tensor) -> dict:
    return {
        "old_logp": problem.old_logp,
        "advantages": problem.advantages,
        "mask": mask,
        "normalizer": float(len(mask)),
        "ref_logp": problem.ref_logp,
        "options": OPTIONS,
    }


def limited(call: Callable[[], dict], target: str) -> Callable[[], dict]:
    """The same call with the instruction sets beyond `target` switched off."""

    def run() -> dict:
        grpo.limit_simd(target)
        try:
            return call()
        finally:
            grpo.limit_simd(None)

    return run


def can_limit(target: str) -> bool:
    """Whether this processor has something beyond `target` to switch off."""
    targets = grpo.simd_targets()
    return target in targets and targets[-1] != target
