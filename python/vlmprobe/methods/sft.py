"""SFT: the questioner learns to ask questions that are known to show failures.

Rows are pictures with completions (`policy.asker.tagged` makes one of questions). The loss is the token cross-entropy
of the completion after the questioner's own prompt, mean over tokens. It needs no loss of its own: the policy gradient
of an on-policy token with advantage 1 is that of its log-probability, so it is `Questioner.loss` without a KL term.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import torch

from vlmprobe import grpo
from vlmprobe._util.checks import check_count, check_positive
from vlmprobe.data.order import epoch_order
from vlmprobe.ledger import StepRecord
from vlmprobe.loop.learn import adamw, stepped
from vlmprobe.methods.task import Task, ask_pool, begin
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import Asker
from vlmprobe.policy.questioner import Questioner

LOSS = replace(grpo.PAPER, beta=0.0, reduction="dapo")


@dataclass(frozen=True)
class Row:
    """What is to be said about a picture."""

    image: Picture
    completion: str


@dataclass(frozen=True, kw_only=True)
class SFTOptions:
    """How rows are learned."""

    epochs: int = 1
    """Times that each row is seen, in an order of its own each time."""
    batch: int = 16
    """Rows per update, of which the questioner's `micro_groups` are run at a time."""
    k: int = 2
    """Questions that the prompt asks for: those of the rows."""
    learning_rate: float = 1e-5
    """Of AdamW; constant."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    seed: int = 0
    """Of the order."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "k"):
            check_count("SFTOptions", name, getattr(self, name))
        for name in ("learning_rate", "max_grad_norm"):
            check_positive("SFTOptions", name, getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class SFT:
    """The method: the questioner learns the rows, then asks about the pool.

    Args:
        questioner: what learns, in place.
        rows: pictures and completions; see `vlmprobe.methods.rows`.
        options: of learning; k and seed are the task's.
    """

    questioner: Questioner
    rows: Sequence[Row]
    options: SFTOptions = field(default_factory=SFTOptions)
    name: str = "SFT"

    def run(self, task: Task) -> Asker:
        """See `vlmprobe.methods.task.Method`. Learning takes no call."""
        learn(task, self.name, self.questioner, self.rows, self.options)
        return ask_pool(self.questioner, task, name=self.name)


def learn(task: Task, name: str, questioner: Questioner, rows: Sequence[Row], options: SFTOptions) -> list[float]:
    """Trains on the rows, and writes each update's loss into the run `<name>/learning`; a resumed task learns again.

    Raises:
        ValueError: as `train`; or the ledger has learning of other rows, options or losses under this name.
    """
    run = f"{name}/learning"
    options = replace(options, k=task.k, seed=task.seed)
    content = {"rows": len(rows), "rows_sha256": _sha256(rows), "options": asdict(options)}
    begin(task, run, of=name, **{"pass": "learning"}, **content)
    losses = train(questioner, rows, options)
    for step, loss in enumerate(losses):
        record = StepRecord(run=run, phase="learning", step=step, numbers={"loss": loss})
        known = task.ledger.step(run, "learning", step)
        if known is not None and known.numbers != record.numbers:
            got = f"expected a loss of {known.numbers['loss']} as recorded, got {loss}"
            raise ValueError(f"[SFT] update {step} of run {run!r}: {got}; put weights and software back as they were")
        task.ledger.record(record)
    task.ledger.finish(run)
    return losses


def _sha256(rows: Sequence[Row]) -> str:
    return hashlib.sha256(json.dumps([[row.image.sha256, row.completion] for row in rows]).encode()).hexdigest()


def train(
    questioner: Questioner, rows: Sequence[Row], options: SFTOptions = SFTOptions(), *, first_epoch: int = 0
) -> list[float]:
    """Trains the questioner on the rows, in place.

    Args:
        questioner: what learns.
        rows: pictures and completions.
        options: see `SFTOptions`.
        first_epoch: number of the first one; the order depends on seed and epoch.

    Returns:
        The loss of each update before it, in nats per token.

    Raises:
        ValueError: no row; a completion that is longer than the questioner may write, or has a word it cannot write.
            Rows about a picture that the model's processor refuses are left out, with a warning that names it.
    """
    rows = _usable(questioner, rows)
    if not rows:
        raise ValueError("[sft.train] rows: expected at least one, got none")
    optimizer = adamw(questioner, options.learning_rate)
    losses = []
    for epoch in range(first_epoch, first_epoch + options.epochs):
        order = epoch_order(len(rows), seed=options.seed, epoch=epoch)
        for first in range(0, len(rows), options.batch):
            some = [rows[i] for i in order[first : first + options.batch]]
            losses.append(_learn(questioner, optimizer, some, options))
    return losses


def _usable(questioner: Questioner, rows: Sequence[Row]) -> list[Row]:
    refused = {row.image.key: why for row in rows if (why := questioner.cannot_ask(row.image))}
    if refused:
        first = next(iter(refused.values()))
        warnings.warn(f"[sft.train] {len(refused)} pictures left out: {first}", stacklevel=3)
    return [row for row in rows if row.image.key not in refused]


def _learn(questioner: Questioner, optimizer: torch.optim.Optimizer, rows: Sequence[Row], options: SFTOptions) -> float:
    said = questioner.say([row.image for row in rows], [row.completion for row in rows], k=options.k)
    count = int(said.mask.sum())
    optimizer.zero_grad(set_to_none=True)
    questioner.backward(said, torch.ones(len(said)), options=LOSS)
    stepped(optimizer, max_grad_norm=options.max_grad_norm)
    return -float((said.logp * said.mask).sum()) / count
