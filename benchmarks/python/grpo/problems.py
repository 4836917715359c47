"""The inputs of the cases: seeded, so that every process that asks for a case gets the same numbers.

Logits are normal with deviation 2, and the sampled token stands out as in a real model (p is about one half). The old
and the reference policy are near the policy, so that some ratios are clipped and the KL is small but not zero.
"""

from __future__ import annotations

import math

import torch

CLIP = 0.2
BETA = 0.01
LOGIT_STD = 2.0
BLOCK = 1 << 24  # numbers drawn at a time


class Batch:
    """What every loss takes beside the logits: tokens, advantages, policies and masks, [B, T]."""

    def __init__(self, sequences: int, length: int, vocabulary: int, seed: int, device: str = "cpu"):
        self.generator = torch.Generator(device).manual_seed(seed)
        shape = (sequences, length)
        self.vocabulary = vocabulary
        self.tokens = torch.randint(vocabulary, shape, generator=self.generator, device=device)
        self.advantages = self.draw(sequences)
        masks = {"full": torch.ones(shape, dtype=torch.bool), "half": half_mask(sequences, length)}
        self.masks = {name: mask.to(device) for name, mask in masks.items()}
        self.log_rest = math.log(vocabulary) + LOGIT_STD**2 / 2  # log-sum-exp of the logits that were not sampled
        self.wanted_logit = self.log_rest + 2 * self.draw(shape)  # of the sampled tokens

    def draw(self, shape, dtype=torch.float32, std: float = 1.0) -> torch.Tensor:
        device = self.generator.device
        values = torch.empty(shape, dtype=dtype, device=device)
        for block in values.view(-1).split(BLOCK):
            block.copy_(torch.randn(block.shape, generator=self.generator, device=device).mul_(std))
        return values

    def set_policies(self, token_logit: torch.Tensor) -> None:
        """Old and reference log-probabilities near the policy's, which is estimated from the tokens' logits."""
        logp = token_logit - torch.logaddexp(token_logit, token_logit.new_tensor(self.log_rest))
        self.old_logp = (logp + 0.2 * self.draw(logp.shape)).clamp(max=0)
        self.ref_logp = (logp + 0.2 * self.draw(logp.shape)).clamp(max=0)


class LogitsProblem(Batch):
    """`logits` [B, T, V]; `live` is the copy that an in-place call may overwrite."""

    def __init__(self, dtype: torch.dtype, *, B: int, T: int, V: int):
        super().__init__(B, T, V, seed=4)
        self.logits = self.draw((B, T, V), dtype, LOGIT_STD)
        index = self.tokens.unsqueeze(-1)
        self.logits.scatter_(-1, index, self.wanted_logit.to(dtype).unsqueeze(-1))
        self.set_policies(self.logits.gather(-1, index).squeeze(-1).float())
        self.live = None

    def restore_live(self) -> None:
        self.live = self.logits.clone() if self.live is None else self.live.copy_(self.logits)


class LinearProblem(Batch):
    """`hidden` [B, T, H] and the head's `weight` [V, H], both leaves; a frozen head wants no gradient."""

    def __init__(self, dtype: torch.dtype, *, B: int, T: int, H: int, V: int, frozen: bool, device: str = "cpu"):
        super().__init__(B, T, V, seed=5, device=device)
        self.weight = self.draw((V, H), dtype, LOGIT_STD / math.sqrt(H))
        hidden, rows = self.draw((B, T, H)), self.weight[self.tokens].float()
        missing = self.wanted_logit - (hidden * rows).sum(-1)
        hidden += rows * (missing / rows.square().sum(-1)).unsqueeze(-1)
        self.hidden = hidden.to(dtype)
        self.set_policies((self.hidden.float() * rows).sum(-1))
        self.hidden.requires_grad_()
        self.weight.requires_grad_(not frozen)

    def clear_gradients(self) -> None:
        self.hidden.grad = self.weight.grad = None


class RewardProblem:
    """`rewards` [B] float32 in groups of `group_size`, one in thirty not scored (NaN); `group` [B] int64."""

    def __init__(self, *, B: int, group_size: int):
        generator = torch.Generator().manual_seed(6)
        self.rewards = torch.randn(B, generator=generator)
        self.rewards[torch.rand(B, generator=generator) < 1 / 30] = math.nan
        self.group_size = group_size
        self.group = torch.arange(B) // group_size


def half_mask(sequences: int, length: int) -> torch.Tensor:
    """Half of the positions, as padding leaves them: the first sequence is short, the last is long."""
    lengths = torch.full((sequences, 1), length // 2)
    if sequences > 1:
        lengths[0], lengths[-1] = length // 4, length // 2 * 2 - length // 4
    return torch.arange(length) < lengths
