"""The same update by `vlmprobe.Questioner`: ask, advantages, loss, backward, AdamW step."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from vlmprobe import Questioner, grpo
from vlmprobe.vlm.lora import add_lora
from vlmprobe.vlm.model import VisionLanguageModel

from .problem import Problem
from .trl_peer import LEARNING_RATE, reward

OPTIONS = replace(grpo.PAPER, clip_low=0.2, clip_high=0.2, beta=0.0, reduction="grpo")  # GRPOConfig's, loss_type="grpo"
ADVANTAGES = grpo.AdvantageOptions(epsilon=1e-4)


@dataclass(frozen=True)
class Drawing:
    """What the questioner needs of a picture."""

    id: int
    pixels: object

    @property
    def key(self) -> str:
        return str(self.id)

    @property
    def sha256(self) -> str:
        return f"{self.id:064x}"


class OurUpdate:
    """The questioner, ready for `step()`."""

    def __init__(
        self, problem: Problem, *, packing: str = "auto", device: str = "cpu", dtype: torch.dtype | None = None
    ):
        self.problem = problem
        model = problem.model().to(device, dtype or problem.dtype).eval()
        self.policy = VisionLanguageModel(model, problem.processor, identity="benchmark")
        self.policy.banned_ids = problem.special_ids
        if problem.lora:
            add_lora(self.policy, rank=problem.lora, alpha=2 * problem.lora)
        self.questioner = Questioner(
            self.policy,
            prompt=problem.text,
            max_new_tokens=problem.completion,
            reference=self.policy,  # not used: beta is 0
            packing=packing,
        )
        self.optimizer = torch.optim.AdamW(self.questioner.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
        self.pictures = [Drawing(i, picture) for i, picture in enumerate(problem.pictures)]
        self.steps = 0
        self.step()  # as TRL's constructor does: the optimiser has its state

    def step(self) -> dict:
        """One update; the seconds of its phases, and what was sampled."""
        times = [time.perf_counter()]
        rollouts = self.ask()
        times.append(time.perf_counter())
        advantages = self.advantages(rollouts)
        times.append(time.perf_counter())
        loss = self.questioner.loss(rollouts, advantages, options=OPTIONS)
        times.append(time.perf_counter())
        loss.loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        times.append(time.perf_counter())
        generation, _, forward, backward = (later - sooner for sooner, later in pairwise(times))
        phases = {"generation": generation, "forward": forward, "backward": backward}
        return {"phases": phases, "loss": loss.loss, "mask": rollouts.mask, "logp": self.logp}

    def ask(self):
        self.steps += 1
        return self.questioner.ask(self.pictures, k=1, group_size=self.problem.group_size, seed=7, step=self.steps)

    def advantages(self, rollouts) -> torch.Tensor:
        earned = reward([[{"content": text}] for text in rollouts.texts])
        return grpo.group_advantages(torch.tensor(earned), group=rollouts.group, options=ADVANTAGES).values

    @torch.no_grad()
    def logp(self, tokens: torch.Tensor) -> torch.Tensor:
        """[B, T] of these completions as the loss has them, no word banned, under the weights of the start."""
        self.problem.as_at_first(self.policy.model)
        rollouts = replace(self.ask(), tokens=tokens.to(self.policy.device))
        self.policy.banned_ids, banned = [], self.policy.banned_ids
        loss = self.questioner.loss(rollouts, torch.zeros(len(rollouts)), options=OPTIONS)
        self.policy.banned_ids = banned
        return loss.logp
