"""`reward_4096` with vlmprobe: three calls a step."""

from __future__ import annotations

import torch

from vlmprobe import memory, reward, text


def prepare(problem: dict) -> memory.PrefixCounts:
    """Before the clock starts: prefixes of the history."""
    counts = memory.PrefixCounts()
    counts.add_all(problem["history"])
    return counts


def ours(problem: dict, history: memory.PrefixCounts) -> dict:
    questions = text.parse_responses(problem["completions"], k=problem["k"])
    lexical = memory.lexical_novelty(history, questions)
    added = memory.PrefixCounts()
    added.add_all(questions.native)
    batch = reward.Batch(
        sequence=questions.sequence,
        num_sequences=len(problem["completions"]),
        valid=torch.from_numpy(problem["judged"]).masked_fill(~questions.ok, 0),
        correct=torch.from_numpy(problem["correct"]),
        semantic=torch.from_numpy(problem["semantic"]),
        lexical=lexical,
    )
    rewards = EQUATION_5(batch)
    return {"question": rewards.question, "total": rewards.total, "lexical": lexical, "added": added}


EQUATION_5 = reward.paper()
