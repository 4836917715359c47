"""What `vlmprobe reproduce` runs: the sizes, and the arms of each table.

An arm is a method with a questioner, an answerer, a reward, k and L. Tables share arms: RL with the base settings is a
row of all five. At equal answerer calls, so a larger k means fewer steps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from vlmprobe import reward
from vlmprobe._util.checks import check_count, check_positive
from vlmprobe.loop.score import CREDITS

QUESTIONERS = ("small", "large")
"""The paper's Qwen2.5-VL-3B and 7B; the first is the base."""
ANSWERERS = ("small", "medium", "large")
"""The paper's Qwen2.5-VL-3B, Qwen2.5-VL-7B and Qwen3-VL-8B; the first is the base."""
TABLES = (1, 2, 3, 4, 5)
KS = (1, 2, 4)
"""Questions per sequence of table 3."""
LEFT_OUT: dict[str, tuple[str, ...]] = {
    "paper": (),
    "paper-no-penalty": ("penalty",),
    "paper-no-lexical": ("lexical",),
    "paper-no-semantic": ("semantic",),
    "paper-no-diversity": ("semantic", "lexical"),
}
"""Preset -> what it leaves out of equation 5."""
LENGTHS = (1, 2, 3, 4)
"""Words of a prefix of table 4."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes and rates of learning, the same for all arms."""

    pool: int
    """Pictures that are asked about in training."""
    held_out: int
    """Pictures of the evaluation pass; so few that n answers of the largest k are had from all of them."""
    calls: int
    """Answerer calls of each method on the pool."""
    n: int
    """Answers of each evaluation pass."""
    equal_n: int
    """Valid questions that diversity and the number of skills are compared at."""
    k: int = 2
    """Questions per sequence."""
    prefix_length: int = 2
    """L."""
    group_size: int = 8
    images_per_step: int = 8
    learning_rate: float
    """Of RL."""
    lambda_penalty: float = 1.0
    """What an invalid question costs, where a failure earns at most 1."""
    beta: float
    """Weight of the KL term."""
    credit: str
    """As in `TrainerOptions`."""
    sft_images: int = 0
    """Pictures of the world's rows for SFT."""
    sft_rate: float
    """Learning rate of SFT and Expert Iteration."""
    sft_epochs: int = 1
    rounds: int = 5
    """Of Expert Iteration."""
    above: int = 20
    """A skill counts with more questions than this."""
    judge_pool: bool = True
    """The evaluator judges what was asked of the pool, too, for the figures of training; else they are as the verifier
    of the training saw it."""

    def __post_init__(self) -> None:
        counts = ("pool", "held_out", "calls", "n", "equal_n", "k", "prefix_length", "group_size", "images_per_step")
        for name in (*counts, "sft_epochs", "rounds", "above"):
            check_count("Scale", name, getattr(self, name))
        for name in ("learning_rate", "sft_rate", "lambda_penalty"):
            check_positive("Scale", name, getattr(self, name))
        largest = max(*KS, self.k)
        most = self.n // largest
        if self.held_out > most:
            raise ValueError(
                f"[Scale] held_out: expected at most n/{largest} = {most}, or an arm would not reach every picture, "
                f"got {self.held_out}"
            )
        if not isinstance(self.judge_pool, bool):
            raise ValueError(f"[Scale] judge_pool: expected true or false, got {self.judge_pool!r:.60}")
        if self.credit not in CREDITS:
            raise ValueError(f"[Scale] credit: expected {' or '.join(CREDITS)}, got {self.credit!r:.60}")
        if self.equal_n > self.n:
            raise ValueError(f"[Scale] equal_n: expected at most n = {self.n}, got {self.equal_n}")

    def formula(self, preset: str) -> reward.Expression:
        """A preset of the paper's reward with this scale's penalty; another expression as it is."""
        without = LEFT_OUT.get(preset)
        if without is None:
            return reward.parse(preset)
        return reward.paper(lambda_penalty=self.lambda_penalty, **dict.fromkeys(without, False))

    def changed(self, given: dict[str, Any]) -> Scale:
        """With some fields replaced.

        Raises:
            ValueError: a field that a scale does not have.
        """
        known = {field.name for field in fields(self)}
        for name in given:
            if name not in known:
                raise ValueError(f"[Scale] expected {', '.join(sorted(known))}, got {name!r:.60}")
        return replace(self, **given)


SMALL = Scale(
    pool=48, held_out=300, calls=9600, n=1200, equal_n=1000,
    learning_rate=2e-4, lambda_penalty=0.05, beta=0.04, credit="question", sft_images=192, sft_rate=2e-4, sft_epochs=2,
)  # fmt: skip
"""The embedded world within the hour."""
PAPER = Scale(
    pool=1000, held_out=1000, calls=80_000, n=4000, equal_n=3000,
    learning_rate=1e-6, beta=1e-2, credit="sequence", sft_rate=1e-6, judge_pool=False,
)  # fmt: skip
"""The paper's pictures; what it does not say is as in `TrainerOptions`."""
SCALES = {"small": SMALL, "paper": PAPER}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One method with one set of models and settings."""

    name: str
    """Of its folder, and of its rows."""
    method: str
    """A key of `vlmprobe.studies.arms.METHODS`; the name of its runs in the ledger."""
    tables: tuple[int, ...]
    """The tables that are made with it."""
    questioner: str = QUESTIONERS[0]
    answerer: str = ANSWERERS[0]
    reward: str = "paper"
    """A preset's name or an expression."""
    k: int
    prefix_length: int

    def __post_init__(self) -> None:
        reward.parse(self.reward)


REWARDS = {"RL no penalty": "paper-no-penalty", "RL penalty": "paper-no-diversity", "RL no lexical": "paper-no-lexical"}
"""Table 2: name of the arm -> reward; the fourth row is the full reward."""
CONTROLS = ("RL ConMe", "random valid", "template sweep")
"""Beyond the paper's six methods; the last two need the world."""
TRAINED = ("RL", "Expert Iteration")
"""The methods of table 5."""


def arm_of(method: str, asking: str, answering: str) -> str:
    """Name of the arm of table 5."""
    first = (asking, answering) == (QUESTIONERS[0], ANSWERERS[0])
    return method if first else f"{method} {asking} on {answering}"


def arms(scale: Scale, *, tables: tuple[int, ...] = TABLES, world: bool = True) -> list[Arm]:
    """The arms of some tables, the longest ones first.

    Args:
        scale: for k and L.
        tables: of the paper.
        world: with the controls that only the embedded world has.
    """
    base: dict[str, Any] = {"k": scale.k, "prefix_length": scale.prefix_length}
    found = [Arm(name="RL", method="RL", tables=(1, 2, 3, 4, 5), **base)]
    for name in ("RL+SFT", "RL ConMe"):
        found.append(Arm(name=name, method=name, tables=(1,), **base))
    for name, expression in REWARDS.items():
        found.append(Arm(name=name, method="RL", tables=(2,), reward=expression, **base))
    for k in KS:
        if k != scale.k:
            found.append(Arm(name=f"RL k={k}", method="RL", tables=(3,), k=k, prefix_length=scale.prefix_length))
    for length in LENGTHS:
        if length != scale.prefix_length:
            found.append(Arm(name=f"RL L={length}", method="RL", tables=(4,), k=scale.k, prefix_length=length))
    for method, asking, answering in product(TRAINED, QUESTIONERS, ANSWERERS):
        name = arm_of(method, asking, answering)
        if name != "RL":
            where = (1, 5) if name == method else (5,)
            found.append(Arm(name=name, method=method, tables=where, questioner=asking, answerer=answering, **base))
    for name in ("SFT", "ConMe", "zero-shot", *(CONTROLS[1:] if world else ())):
        found.append(Arm(name=name, method=name, tables=(1,), **base))
    if world:
        for answering in ANSWERERS[1:]:
            name = f"random valid on {answering}"
            found.append(Arm(name=name, method="random valid", tables=(5,), answerer=answering, **base))
    return [arm for arm in found if set(arm.tables) & set(tables)]
