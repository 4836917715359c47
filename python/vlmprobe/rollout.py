"""Sampling completions, and their log-probabilities under the current weights.

B = images x G sequences, T completion tokens, V words. Special tokens other than the end of text are banned: an image
token in a completion would crash the next forward pass. The same ban and temperature stand in the sampled and in the
recomputed log-probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vlmprobe import grpo
from vlmprobe._native import core
from vlmprobe.models.hf import Prompts, VisionLanguageModel


@dataclass(frozen=True)
class Rollouts:
    """What a questioner said about I images, G times each."""

    tokens: Tensor
    """[B, T] int64, padded after the end of text."""
    logp: Tensor
    """[B, T] float32 log-probability of each token when it was drawn, 0 where masked."""
    mask: Tensor
    """[B, T] bool, true up to and including the end of text."""
    group: Tensor
    """[B] int64, the image's place in the step."""
    texts: list[str]
    """[B] completions."""
    token_ends: list[np.ndarray]
    """[B] per completion, the byte of its text at which each token ends, int64."""
    prompts: Prompts
    """The I prompts, one per image."""

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        rows, length = self.tokens.shape
        return f"Rollouts({rows} sequences of up to {length} tokens, {len(self.prompts.ids)} images)"


def permitted(logits: Tensor, banned: list[int], temperature: float) -> Tensor:
    """Logits [..., V] in float32 at the given temperature, banned words at minus infinity."""
    logits = logits.float() / temperature
    return logits.index_fill(-1, torch.tensor(banned, device=logits.device), float("-inf"))


def draw(logp: Tensor, uniform: Tensor) -> Tensor:
    """Inverts the distribution: [N, V] log-probabilities and [N] numbers in [0, 1) to [N] tokens.

    Sums in float64, and never picks a word of probability zero.
    """
    cumulative = logp.double().exp().cumsum(-1)
    wanted = uniform.to(cumulative) * cumulative[:, -1]
    return torch.searchsorted(cumulative, wanted[:, None], right=True)[:, 0].clamp(max=logp.shape[-1] - 1)


@torch.no_grad()
def sample(
    model: VisionLanguageModel,
    prompts: Prompts,
    *,
    group_size: int,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    step: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draws G completions of each prompt; every prompt is run once and its cache repeated.

    Token t of sequence s is drawn with the number that belongs to (seed, step, s, t), so a sequence's draws do not
    depend on the others.

    Returns:
        tokens, log-probabilities and mask, each [B, T] with B = prompts x G.
    """
    hidden, cache = model.prefill(prompts)
    cache.batch_repeat_interleave(group_size)
    hidden = hidden.repeat_interleave(group_size, 0)
    mask = prompts.mask.repeat_interleave(group_size, 0)
    position = prompts.next_position.repeat_interleave(group_size, 0)
    rows = len(hidden)
    eos = torch.tensor(model.eos_ids, device=model.device)
    running = torch.ones(rows, dtype=torch.bool, device=model.device)
    tokens, logps, masks = [], [], []
    for at in range(max_new_tokens):
        logp = permitted(model.model.lm_head(hidden), model.banned_ids, temperature).log_softmax(-1)
        numbers = core.uniform(seed, core.Stream.sampling, step, np.arange(rows), at)
        token = draw(logp, torch.from_numpy(numbers).to(model.device))
        tokens.append(torch.where(running, token, model.pad_id))
        logps.append(torch.where(running, logp.gather(-1, token[:, None])[:, 0], 0.0))
        masks.append(running)
        running = running & ~torch.isin(token, eos)
        if not running.any():
            break
        mask = torch.cat([mask, mask.new_ones(rows, 1)], dim=1)
        hidden = model.advance(tokens[-1], cache, mask, position)
        position = position + 1
    return torch.stack(tokens, 1), torch.stack(logps, 1), torch.stack(masks, 1)


def completion_logp(model: VisionLanguageModel, rollouts: Rollouts, *, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy [B, T] of the rollouts' tokens under the model's present weights, with gradient."""
    group_size = len(rollouts) // len(rollouts.prompts.ids)
    prompts = rollouts.prompts.repeated(group_size)
    tokens, length = rollouts.tokens, rollouts.tokens.shape[1]
    after = prompts.next_position[:, None] + torch.arange(length, device=tokens.device)
    hidden = model.model.model(
        input_ids=torch.cat([prompts.ids, tokens], 1),
        attention_mask=torch.cat([prompts.mask, rollouts.mask.to(prompts.mask)], 1),
        position_ids=torch.cat([prompts.positions, after.expand(3, -1, -1)], 2),
        mm_encoder_outputs={"image": prompts.features},
        use_cache=False,
    ).last_hidden_state[:, -length - 1 : -1]
    logits = permitted(model.model.lm_head(hidden), model.banned_ids, temperature)
    return grpo.token_logp(logits, tokens, mask=rollouts.mask)


def decode(model: VisionLanguageModel, tokens: Tensor, mask: Tensor) -> tuple[list[str], list[np.ndarray]]:
    """Completions as text, and the byte at which each token ends.

    A token's end is the length of the text of the tokens so far; tokens that complete a character later (bytes of one
    character) end where it does. Special tokens add nothing.
    """
    tokenizer = model.processor.tokenizer
    texts, ends = [], []
    for row, kept in zip(tokens.tolist(), mask.sum(1).tolist(), strict=True):
        row = row[:kept]
        text = tokenizer.decode(row, skip_special_tokens=True)
        lengths = [len(tokenizer.decode(row[: i + 1], skip_special_tokens=True).encode()) for i in range(kept)]
        whole = len(text.encode())
        texts.append(text)
        ends.append(np.minimum.accumulate(np.array([*lengths, whole], dtype=np.int64)[::-1])[::-1][:-1].copy())
    return texts, ends
