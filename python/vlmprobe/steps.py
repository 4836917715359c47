"""The named parts of one training step, each a function that can be called or replaced alone.

I images, G sequences each, B = I x G sequences, k questions each, Q = B x k questions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from vlmprobe import grpo, reward
from vlmprobe.asked import Asked
from vlmprobe.examine import Examined
from vlmprobe.ledger.records import (
    AnswerRecord,
    ImageRecord,
    JudgeRecord,
    QuestionRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
)
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.protocols import Answerer, Embedder, Picture, Verifier
from vlmprobe.models.replies import Reply
from vlmprobe.rollout import Rollouts
from vlmprobe.text import Questions, SlotStatus

Annotator = Callable[[Picture, str, Reply | None], Mapping[str, Any]]
"""(picture, question, reply or None) to what is known besides, for the ledger."""


def pictures_of(images: Sequence[Picture], rollouts: Asked, questions: Questions) -> list[Picture]:
    """[Q] the picture that each question is about."""
    return [images[int(rollouts.group[sequence])] for sequence in questions.sequence.tolist()]


@dataclass(frozen=True)
class Novelties:
    """How new each valid question is against the memory."""

    semantic: Tensor
    """[Q] float64 in [0, 1]; NaN where the question is not valid."""
    lexical: Tensor
    """[Q] float64 in (0, 1]; NaN where the question is not valid."""
    embeddings: Tensor
    """[Q, D] float32 unit rows; zero where the question is not valid."""


def assess(
    memory: QuestionMemory,
    embedder: Embedder,
    pictures: Sequence[Picture],
    questions: Questions,
    examined: Examined,
    *,
    within: str = "none",
) -> Novelties:
    """Semantic and lexical novelty of the valid questions, all against the memory as the step found it.

    Only valid questions are embedded: no reward term looks at the novelty of another.
    """
    rows = (examined.valid == 1).nonzero()[:, 0]
    total = len(questions)
    semantic = torch.full((total,), float("nan"), dtype=torch.float64)
    lexical, embeddings = semantic.clone(), torch.zeros(total, embedder.dim)
    if len(rows):
        texts = [questions.text[i] for i in rows.tolist()]
        embeddings[rows] = embedder(texts)
        found = memory.novelty(
            [pictures[i].id for i in rows.tolist()],
            embeddings=embeddings[rows],
            texts=texts,
            within=within,
            sequence=questions.sequence[rows],
            slot=questions.slot[rows],
        )
        semantic[rows], lexical[rows] = found.semantic, found.lexical
    return Novelties(semantic, lexical, embeddings)


def reward_batch(
    rollouts: Rollouts,
    questions: Questions,
    pictures: Sequence[Picture],
    examined: Examined,
    novelties: Novelties,
) -> reward.Batch:
    """What a reward expression sees."""
    return reward.Batch(
        sequence=questions.sequence,
        num_sequences=len(rollouts),
        valid=examined.valid,
        correct=examined.correct,
        semantic=novelties.semantic,
        lexical=novelties.lexical,
        texts=questions.text,
        images=torch.tensor([picture.id for picture in pictures]),
    )


def assign_credit(rewards: reward.Rewards, rollouts: Rollouts, questions: Questions, *, credit: str) -> Tensor:
    """Advantages: [B] for `sequence`, [B, T] for `question`."""
    if credit == "sequence":
        return grpo.group_advantages(rewards.total, group=rollouts.group).values
    return grpo.question_advantages(
        rewards.question,
        sequence=questions.sequence,
        token_begin=questions.token_begin,
        token_end=questions.token_end,
        group=rollouts.group,
        length=rollouts.tokens.shape[1],
    ).values


def update(optimizer: torch.optim.Optimizer, loss: Tensor, *, max_grad_norm: float) -> float:
    """One optimiser step; the norm of the gradient before it was cut. A gradient that is not finite changes nothing."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(weights, max_grad_norm))
    if math.isfinite(norm):
        optimizer.step()
    return norm


def remember(
    memory: QuestionMemory,
    run: str,
    step: int,
    pictures: Sequence[Picture],
    questions: Questions,
    examined: Examined,
    novelties: Novelties,
) -> int:
    """Commits the valid questions that were answered wrongly; the number that is new to the memory."""
    rows = ((examined.valid == 1) & (examined.correct == 0)).nonzero()[:, 0]
    return memory.commit(
        run,
        step=step,
        sequence=questions.sequence[rows],
        slot=questions.slot[rows],
        image=[pictures[i].id for i in rows.tolist()],
        embeddings=novelties.embeddings[rows],
        texts=[questions.text[i] for i in rows.tolist()],
    )


def step_record(
    run: str,
    phase: str,
    step: int,
    images: Sequence[Picture],
    rollouts: Asked,
    questions: Questions,
    pictures: Sequence[Picture],
    examined: Examined,
    *,
    answerer: str,
    judge: str,
    rewards: reward.Rewards | None = None,
    advantages: Tensor | None = None,
    annotate: Annotator | None = None,
    judges: Sequence[JudgeRecord] = (),
    numbers: Mapping[str, float] | None = None,
    left_out: int = 0,
) -> StepRecord:
    """Everything about the step, as rows for the ledger.

    Args:
        advantages: [B], or [B, T] of `Rollouts`.
        left_out: images that it was to be about and that could not be read.
    """
    per_sequence = None if advantages is None else _of_sequence(advantages, cast(Rollouts, rollouts))

    def sequence(i: int) -> SequenceRecord:
        return SequenceRecord(
            sequence=i,
            image=images[int(rollouts.group[i])].id,
            group=int(rollouts.group[i]),
            text=rollouts.texts[i],
            tokens=int(rollouts.lengths[i]),
            reward=None if rewards is None else float(rewards.total[i]),
            advantage=None if per_sequence is None else float(per_sequence[i]),
        )

    def question(i: int) -> QuestionRecord:
        verdict, reply, text = examined.verdicts[i], examined.replies[i], questions.text[i]
        terms = {} if rewards is None else {name: float(value[i]) for name, value in rewards.terms.items()}
        if rewards is not None:
            terms["total"] = float(rewards.question[i])
        return QuestionRecord(
            sequence=int(questions.sequence[i]),
            slot=int(questions.slot[i]),
            status=SlotStatus(int(questions.status[i])).name,
            text=text,
            prefix=questions.prefix[i],
            verdict=None if verdict is None else VerdictRecord.of(verdict, judge=judge),
            answer=None if reply is None else AnswerRecord.of(reply, answerer=answerer),
            rewards=terms,
            annotations=annotate(pictures[i], text, reply) if annotate and text else {},
        )

    counts = {"asking_calls": rollouts.calls, "left_out": left_out}
    return StepRecord(
        run=run,
        phase=phase,
        step=step,
        images=[ImageRecord.of(image) for image in images],
        sequences=[sequence(i) for i in range(len(rollouts))],
        questions=[question(i) for i in range(len(questions))],
        judges=judges,
        numbers={**(numbers or {}), **{name: count for name, count in counts.items() if count}},
    )


def judges_of(answerer: Answerer, verifier: Verifier) -> list[JudgeRecord]:
    """Who answers and who judges, for the ledger."""
    return [JudgeRecord.of("answerer", answerer), JudgeRecord.of("verifier", verifier)]


def _of_sequence(advantages: Tensor, rollouts: Rollouts) -> Tensor:
    """[B]: per-token advantages as their mean over the sequence's tokens."""
    if advantages.dim() == 1:
        return advantages
    mask = rollouts.mask.to(advantages.device)
    return (advantages * mask).sum(1) / mask.sum(1).clamp(min=1)
