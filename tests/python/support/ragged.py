"""Prompts and completions of many lengths."""

import dataclasses

import torch

from vlmprobe.policy.questioner import Questioner
from vlmprobe.world.source import WorldImages

IMAGES = WorldImages(6, seed=77)


def prompts_of(model, texts):
    return model.prompts([IMAGES[i] for i in range(len(texts))], texts)


RAGGED = ["ask 2 questions", "how many large red circles are left of the small blue square ?", "ask 2 questions", "?"]


def ragged_rollouts(asker: Questioner, group_size: int = 3):
    """Prompts of three lengths, completions of many, one of a single token, one without any."""
    generator = torch.Generator().manual_seed(3)
    prompts = prompts_of(asker.model, RAGGED)
    rows, width = len(RAGGED) * group_size, 12
    allowed = torch.tensor(sorted(set(range(100)) - set(asker.model.banned_ids)))
    tokens = allowed[torch.randint(len(allowed), (rows, width), generator=generator)]
    lengths = torch.randint(2, width + 1, (rows,), generator=generator)
    lengths[1], lengths[5] = 1, 0
    mask = torch.arange(width) < lengths[:, None]
    sampled = asker.ask([IMAGES[0]], k=2, seed=0, step=0)
    return dataclasses.replace(
        sampled, tokens=tokens.where(mask, asker.model.pad_id), mask=mask, prompts=prompts,
        logp=torch.full((rows, width), -4.0), group=torch.arange(len(RAGGED)).repeat_interleave(group_size),
    )  # fmt: skip
