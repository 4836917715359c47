"""Learning from a round: one update of the questioner, and the failures into the memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean

import torch
from torch import Tensor

from vlmprobe import grpo
from vlmprobe._util.checks import check_count
from vlmprobe.loop.round import Round
from vlmprobe.memory import QuestionMemory
from vlmprobe.policy.precision import SMALL, MasterAdamW, Watched
from vlmprobe.policy.questioner import Questioner
from vlmprobe.policy.sampling import drawn_of


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What an update did."""

    loss: float
    kl: float
    """To the reference, nats per token."""
    entropy: float
    """Of the policy, nats per token."""
    clip_fraction: float
    grad_norm: float
    """Before it was cut."""
    changed: float = math.nan
    """Share of the trained weights that are not what they were before, in the type that they are kept in (by up to
    4,096 values of each); NaN where it was not measured. A low share is no fault where they have float32 masters."""

    @property
    def numbers(self) -> Mapping[str, float]:
        """All of it by name."""
        return asdict(self)


NOTHING = Learned(**dict.fromkeys(("loss", "kl", "entropy", "clip_fraction", "grad_norm"), math.nan))


def learn(
    round: Round,
    questioner: Questioner,
    optimizer: torch.optim.Optimizer,
    *,
    loss: grpo.LossOptions = grpo.PAPER,
    max_grad_norm: float = 1.0,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    rate: float | None = None,
    epochs: int = 1,
) -> Learned:
    """Updates the questioner on a credited round of its own. Of several updates, the numbers are means.

    Args:
        round: credited; of what was asked, this questioner drew all or some. Without any, nothing is learned.
        questioner: what learns, in place.
        optimizer: over `questioner.parameters()`.
        loss: clip, KL weight, reduction.
        max_grad_norm: gradients are scaled down to this norm.
        scheduler: stepped after the updates, where one of them was made.
        rate: the learning rate of all parameters; by default the optimiser's.
        epochs: updates, all with the log-probabilities with which the completions were drawn.
    """
    round.expect("learn", "advantages")
    check_count("learn", "epochs", epochs)
    drawn = drawn_of(round.asked)
    if drawn is None:
        return NOTHING
    before = Watched(questioner.parameters())
    for group in optimizer.param_groups if rate is not None else ():
        group["lr"] = rate
    losses, norms = [], []
    for _ in range(epochs):
        optimizer.zero_grad(set_to_none=True)
        losses.append(questioner.backward(drawn.rollouts, round.advantages[drawn.rows], options=loss))
        norms.append(stepped(optimizer, max_grad_norm=max_grad_norm))
    if scheduler is not None and any(map(math.isfinite, norms)):
        scheduler.step()
    return Learned(
        loss=fmean(float(each.loss.detach()) for each in losses),
        kl=fmean(each.kl for each in losses),
        entropy=fmean(each.entropy for each in losses),
        clip_fraction=fmean(each.clip_fraction for each in losses),
        grad_norm=fmean(norms),
        changed=before.changed(),
    )


def update(optimizer: torch.optim.Optimizer, loss: Tensor, *, max_grad_norm: float) -> float:
    """One optimiser step; the norm of the gradient before it was cut. A gradient that is not finite changes nothing."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    return stepped(optimizer, max_grad_norm=max_grad_norm)


def stepped(optimizer: torch.optim.Optimizer, *, max_grad_norm: float) -> float:
    """`update` with gradients that are there."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(weights, max_grad_norm))
    if math.isfinite(norm):
        optimizer.step()
    return norm


def remember(memory: QuestionMemory, round: Round) -> int:
    """Commits the failures of a scored round to the memory; the number that is new to it."""
    round.expect("remember", "novelties")
    rows, questions = round.failed, round.questions
    return memory.commit(
        round.place.run,
        step=round.place.step,
        sequence=questions.sequence[rows],
        slot=questions.slot[rows],
        image=[round.pictures[i].id for i in rows.tolist()],
        embeddings=round.novelties.embeddings[rows],
        texts=[questions.text[i] for i in rows.tolist()],
    )


def adamw(questioner: Questioner, learning_rate: float) -> torch.optim.AdamW:
    """The default optimiser: no decay of weights, the learning rate stays. Weights of a small type have masters (see
    `vlmprobe.policy.precision`)."""
    weights = questioner.parameters()
    small = any(weight.dtype in SMALL for weight in weights)
    return (MasterAdamW if small else torch.optim.AdamW)(weights, lr=learning_rate, weight_decay=0.0)
