"""Holds the log-probabilities of both sides of `questioner_update` against each other, on completions of ours."""

from __future__ import annotations

import torch
from model import Shape
from sides import our_questioner, trl_trainer

TOLERANCE = 1e-4


def largest_difference(shape: Shape) -> float:
    """In nats, over all tokens of one step: ours packed, TRL's forward pass over every sequence."""
    from vlmprobe import grpo
    from vlmprobe.rollout import completion_states

    questioner, images = our_questioner(shape, "packed")
    rollouts = questioner.ask(images, k=1, group_size=shape.group_size, seed=1, step=0)
    policy = questioner.model
    with torch.no_grad():
        states = completion_states(policy, rollouts, packed=True)
    mine = grpo.linear_logp(states, policy.head, rollouts.tokens)

    trainer = trl_trainer(shape, 1, compact=True)
    chat = policy._chat(questioner.prompt.replace("{k}", "1"))
    inputs = policy.processor(
        text=[chat] * len(rollouts),
        images=[images[i].pixels for i in rollouts.group.tolist()],
        padding=True,
        return_tensors="pt",
    )
    assert torch.equal(inputs["input_ids"][:: shape.group_size], rollouts.prompts.ids)
    own = torch.zeros_like(rollouts.tokens)
    with torch.no_grad():
        theirs, _, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model,
            torch.cat([inputs["input_ids"], rollouts.tokens], 1),
            torch.cat([inputs["attention_mask"], rollouts.mask.long()], 1),
            shape.completion,
            pixel_values=inputs["pixel_values"],
            image_grid_thw=inputs["image_grid_thw"],
            num_images=[1] * len(rollouts),
            mm_token_type_ids=torch.cat([inputs["mm_token_type_ids"], own], 1),
        )
    return float((theirs - mine.logp).abs().max())
