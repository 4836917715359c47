"""How the peers are called: TRL and Liger from their installed packages, and the logits made whole by torch.

They are imported where they are used, so that a process that measures our memory does not load them. Each call is
given what makes it fastest: TRL's entropy without a graph, since the loss does not use it; Liger's sequences in one
chunk instead of one at a time.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import torch

from .problems import BETA, CLIP, LinearProblem, LogitsProblem, RewardProblem


def trl_token_logp(problem: LogitsProblem) -> dict:
    with torch.no_grad():
        logp, entropy = trl_two_calls(problem.logits, problem.tokens)
    return {"logp": logp, "entropy": entropy}


def trl_loss_from_logits(problem: LogitsProblem) -> dict:
    logits = problem.logits.detach().requires_grad_()
    logp, entropy = trl_two_calls(logits, problem.tokens)
    loss = trl_loss(logp, entropy, problem)
    loss.backward()
    return {"loss": loss, "logp": logp, "entropy": entropy, "gradient": logits.grad}


def materialised(problem: LinearProblem) -> dict:
    logits = torch.nn.functional.linear(problem.hidden, problem.weight)
    logp, entropy = trl_two_calls(logits, problem.tokens)
    return backward(trl_loss(logp, entropy, problem), problem, logp, entropy)


def trl_chunked(problem: LinearProblem) -> dict:
    """The function under `add_fused_lm_head`; every position is scored, so its compact form would do the same."""
    from trl.kernels.chunked_logprob import ChunkedLogProbFunction
    from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

    logp, entropy, *_ = ChunkedLogProbFunction.apply(
        problem.hidden.flatten(0, 1),
        problem.weight,
        None,
        problem.tokens.flatten(),
        1.0,
        _CHUNKED_LOGPROB_CHUNK_SIZE,
        None,
        1.0,
        ("log_probs", "entropy"),
    )
    logp, entropy = logp.view_as(problem.tokens), entropy.view_as(problem.tokens)
    return backward(trl_loss(logp, entropy, problem), problem, logp, entropy)


def liger(problem: LinearProblem) -> dict:
    """Returns no log-probabilities and no entropies: less work than the others do."""
    from liger_kernel.chunked_loss import LigerFusedLinearGRPOLoss

    function = LigerFusedLinearGRPOLoss(
        beta=BETA, epsilon_low=CLIP, epsilon_high=CLIP, loss_type="grpo", compiled=False, chunk_size=len(problem.tokens)
    )
    loss, _ = function(
        problem.hidden,
        problem.weight,
        problem.tokens,
        problem.masks["full"].long(),
        problem.advantages,
        ref_per_token_logps=problem.ref_logp,
        old_per_token_logps=problem.old_logp,
    )
    return backward(loss, problem, None, None)


def trl_advantages(problem: RewardProblem) -> dict:
    """TRL's default: group mean, group deviation, unscored to 0; without what it computes for its log."""
    from trl.trainer.utils import nanstd

    grouped = problem.rewards.view(-1, problem.group_size)
    mean = torch.nanmean(grouped, dim=1).repeat_interleave(problem.group_size, dim=0)
    deviation = nanstd(grouped, dim=1).repeat_interleave(problem.group_size, dim=0)
    return {"values": torch.nan_to_num((problem.rewards - mean) / (deviation + 1e-4), nan=0.0)}


def trl_two_calls(logits: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    from trl.trainer.utils import entropy_from_logits, selective_log_softmax

    logp = selective_log_softmax(logits, tokens)
    with torch.no_grad():
        entropy = entropy_from_logits(logits)
    return logp, entropy


def trl_loss(logp: torch.Tensor, entropy: torch.Tensor, problem) -> torch.Tensor:
    """The trainer's own loss method, on a stand-in that holds what the method reads."""
    from trl.trainer.grpo_trainer import GRPOTrainer

    trainer = trl_trainer()
    trainer._get_per_token_logps_and_entropies = lambda *args, **kwargs: (logp, entropy, None)
    prompt = torch.ones(len(problem.tokens), 1, dtype=torch.long)
    inputs = {
        "prompt_ids": prompt,
        "prompt_mask": prompt,
        "completion_ids": problem.tokens,
        "completion_mask": problem.masks["full"].long(),
        "advantages": problem.advantages,
        "old_per_token_logps": problem.old_logp,
        "ref_per_token_logps": problem.ref_logp,
    }
    return GRPOTrainer._compute_loss(trainer, None, inputs)


def trl_trainer() -> SimpleNamespace:
    alone = SimpleNamespace(
        gather=lambda value: value, reduce=lambda value, reduction: value, num_processes=1, sync_gradients=True
    )
    return SimpleNamespace(
        accelerator=alone,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None),
        aux_loss_enabled=False,
        beta=BETA,
        current_gradient_accumulation_steps=1,
        epsilon_high=CLIP,
        epsilon_low=CLIP,
        importance_sampling_level="token",
        loss_type="grpo",
        model=SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
    )


def backward(loss: torch.Tensor, problem: LinearProblem, logp, entropy) -> dict:
    loss.backward()
    return {
        "loss": loss,
        "logp": logp,
        "entropy": entropy,
        "hidden_gradient": problem.hidden.grad,
        "weight_gradient": problem.weight.grad,
    }
