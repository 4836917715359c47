"""The ways of asking that train their questioner: the paper's, and hints with a gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vlmprobe import grpo, reward
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.methods.hinted import Hinted
from vlmprobe.methods.local_search import FollowUpOptions
from vlmprobe.methods.rl import RL
from vlmprobe.methods.world_hints import world_bandit, world_prompt
from vlmprobe.policy.questioner import Questioner
from vlmprobe.probe.config import GATED
from vlmprobe.studies.arms import training
from vlmprobe.studies.plan import SMALL

GROUP = 4, 8
"""Completions per picture, and pictures per step, so that a step has as many questions as one without a gradient."""
UNSCALED = grpo.AdvantageOptions(scale="none")
"""A small reward stays a small advantage: divided by the group's deviation, a failure of a kind that is known by now
would push as hard as the first of its kind."""


def paper_rl(questioner: Questioner, name: str) -> RL:
    """Equation 5 as printed, with the rates and the penalty of `vlmprobe reproduce`."""
    group = SMALL.group_size, SMALL.images_per_step
    return RL(questioner=questioner, options=training(SMALL), reward=SMALL.formula("paper"), group=group, name=name)


def gated_rl(questioner: Questioner, name: str) -> RL:
    """The same without hints, with validity as a gate."""
    return replace(_gated(questioner, name), preface=None, follow_up=None)


def hinted_rl(questioner: Questioner, name: str) -> RL:
    """Hints chosen by a bandit, the same for a whole group, with the gradient."""
    return replace(_gated(questioner, name), follow_up=None)


def hinted_rl_follow_up(questioner: Questioner, name: str) -> RL:
    """The same, and failures are followed up beside it."""
    return _gated(questioner, name)


def _gated(questioner: Questioner, name: str) -> RL:
    hints = world_bandit()
    options = TrainerOptions(
        learning_rate=2e-4, credit="question", within="step", advantages=UNSCALED, loss=replace(grpo.PAPER, beta=0.04)
    )
    return RL(
        questioner=questioner, options=options, reward=reward.parse(GATED), group=GROUP, name=name,
        preface=lambda answerer: Hinted(hints, world_prompt), follow_up=FollowUpOptions(),
    )  # fmt: skip


TRAINED: dict[str, Callable[[Questioner, str], RL]] = {
    "rl": paper_rl,
    "rl-gated": gated_rl,
    "hinted-rl": hinted_rl,
    "hinted-rl-follow-up": hinted_rl_follow_up,
}
