"""From verdicts to advantages: novelty against the memory, the reward, and credit within each group.

Source: arXiv 2604.04733v1, equations 2 to 5; group-relative advantages as in arXiv 2402.03300.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import torch

from vlmprobe import grpo, reward
from vlmprobe.loop.round import Novelties, Round
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.protocols import Embedder
from vlmprobe.policy.sampling import Rollouts

CREDITS = ("sequence", "question")
Reward = Callable[[reward.Batch], reward.Rewards]
"""A reward expression, or a function of the same face."""


def score(round: Round, memory: QuestionMemory, embedder: Embedder, formula: Reward, *, within: str = "none") -> Round:
    """The round with novelties and rewards.

    Args:
        round: examined.
        memory: earlier failures, as the step found them; it is not changed.
        embedder: texts to unit vectors.
        formula: the reward, such as `reward.paper()`.
        within: whether earlier questions of the same `sequence` or `step` count against novelty; `none`: the memory
            alone.
    """
    assessed = replace(round, novelties=novelties_of(round, memory, embedder, within=within))
    return replace(assessed, rewards=formula(reward_batch(assessed)))


def novelties_of(round: Round, memory: QuestionMemory, embedder: Embedder, *, within: str = "none") -> Novelties:
    """Semantic and lexical novelty of the valid questions, all against the memory as the step found it.

    Only valid questions are embedded: no reward term looks at the novelty of another.
    """
    round.expect("score", "verdicts")
    questions, rows = round.questions, (round.valid == 1).nonzero()[:, 0]
    semantic = torch.full((len(questions),), float("nan"), dtype=torch.float64)
    lexical, embeddings = semantic.clone(), torch.zeros(len(questions), embedder.dim)
    if len(rows):
        texts = [questions.text[i] for i in rows.tolist()]
        embeddings[rows] = embedder(texts)
        found = memory.novelty(
            [round.pictures[i].id for i in rows.tolist()],
            embeddings=embeddings[rows],
            texts=texts,
            within=within,
            sequence=questions.sequence[rows],
            slot=questions.slot[rows],
        )
        semantic[rows], lexical[rows] = found.semantic, found.lexical
    return Novelties(semantic, lexical, embeddings)


def reward_batch(round: Round) -> reward.Batch:
    """What a reward expression sees of a round with novelties."""
    round.expect("score", "novelties")
    return reward.Batch(
        sequence=round.questions.sequence,
        num_sequences=len(round.asked),
        valid=round.valid,
        correct=round.correct,
        semantic=round.novelties.semantic,
        lexical=round.novelties.lexical,
        texts=round.questions.text,
        images=torch.tensor([picture.id for picture in round.pictures], dtype=torch.int64),
    )


def credit(round: Round, to: str = "sequence") -> Round:
    """The round with advantages: [B] where credit goes `to` the sequence, [B, T] where it goes to each question's own
    tokens."""
    round.expect("credit", "rewards")
    rewards, questions, group = round.rewards, round.questions, round.asked.group
    if to not in CREDITS:
        raise ValueError(f"[credit] to: expected {' or '.join(CREDITS)}, got {to!r:.60}")
    if to == "sequence":
        found = grpo.group_advantages(rewards.total, group=group)
    else:
        found = grpo.question_advantages(
            rewards.question,
            sequence=questions.sequence,
            token_begin=questions.token_begin,
            token_end=questions.token_end,
            group=group,
            length=cast(Rollouts, round.asked).tokens.shape[1],
        )
    return replace(round, advantages=found.values, degenerate=found.degenerate)
