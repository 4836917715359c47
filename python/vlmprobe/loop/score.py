"""From verdicts to advantages: novelty against the memory, the reward, and credit within each group.

Source: arXiv 2604.04733v1, equations 2 to 5; group-relative advantages as in arXiv 2402.03300.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from vlmprobe import grpo, reward
from vlmprobe.grpo.options import DEFAULT_ADVANTAGES
from vlmprobe.loop.round import Novelties, Round
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.protocols import Embedder
from vlmprobe.policy.sampling import Drawn, drawn_of
from vlmprobe.text import parse_responses

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
    return replace(assessed, rewards=formula(reward_batch(assessed, memory)))


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


def reward_batch(round: Round, memory: QuestionMemory) -> reward.Batch:
    """What a reward expression sees of a round with novelties, and of the failures before it."""
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
        embeddings=round.novelties.embeddings,
        memory=memory,
    )


def credit(round: Round, to: str = "sequence", options: grpo.AdvantageOptions = DEFAULT_ADVANTAGES) -> Round:
    """The round with advantages: [B] where credit goes `to` the sequence, [B, T] where it goes to each question's own
    tokens. Where a questioner drew some of the completions only (`drawn_of`), groups are of these, and the others have
    none: 0, degenerate."""
    round.expect("credit", "rewards")
    if to not in CREDITS:
        raise ValueError(f"[credit] to: expected {' or '.join(CREDITS)}, got {to!r:.60}")
    drawn, count = drawn_of(round.asked), len(round.asked)
    rows = torch.arange(count) if drawn is None else drawn.rows
    found = _to_sequences(round, rows, options) if to == "sequence" else _to_questions(round, drawn, options)
    values = found.values.new_zeros(count, *found.values.shape[1:]).index_copy(0, rows, found.values)
    degenerate = torch.ones(count, dtype=torch.bool).index_copy(0, rows, found.degenerate)
    return replace(round, advantages=values, degenerate=degenerate)


def _to_sequences(round: Round, rows: Tensor, options: grpo.AdvantageOptions) -> grpo.Advantages:
    return grpo.group_advantages(round.rewards.total[rows], group=round.asked.group[rows], options=options)


def _to_questions(round: Round, drawn: Drawn | None, options: grpo.AdvantageOptions) -> grpo.Advantages:
    """Of the sequences that were drawn here: only they have tokens."""
    if drawn is None:
        raise ValueError("[credit] to: expected sequence where no questioner here drew a completion, got question")
    rollouts, k = drawn.rollouts, round.questions.k
    spans = round.questions if rollouts is round.asked else parse_responses(
        rollouts.texts, k=k, token_ends=rollouts.token_ends
    )  # fmt: skip
    return grpo.question_advantages(
        round.rewards.question.view(-1, k)[drawn.rows].flatten(),
        sequence=spans.sequence,
        token_begin=spans.token_begin,
        token_end=spans.token_end,
        group=rollouts.group,
        length=rollouts.tokens.shape[1],
        options=options,
    )
