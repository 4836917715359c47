"""One GRPO update of a questioner, beside TRL's trainer; in total, and phase by phase.

`questioner_update` trains all weights of a small model in float32; `questioner_real` trains adapters beside bfloat16
weights of a real model's widths.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import torch
from harness import Row, Side, Work

from .problem import FULL, REAL, TINY, Problem

TRL = ("TRL compact", "TRL as shipped")
PHASES = ("generation", "forward", "backward")


class Sides:
    """Both sides on one problem, each made when it is first used: a process that measures one has only that."""

    def __init__(self, problem: Problem):
        self.problem = problem

    @functools.cached_property
    def ours(self):
        from .ours import OurUpdate

        return OurUpdate(self.problem)

    @functools.cached_property
    def trl(self):
        from .trl_peer import TrlUpdate

        return TrlUpdate(self.problem)


class Reference:
    """Completions drawn evenly, and their log-probabilities by a plain forward pass of transformers' own class."""

    @torch.no_grad()
    def __init__(self, sides: Sides):
        problem = sides.problem
        generator = torch.Generator().manual_seed(9)
        shape = (problem.rows, problem.completion)
        self.tokens = torch.randint(len(problem.special_ids), problem.sizes["vocabulary"], shape, generator=generator)
        self.logp = torch.cat([self.of_rows(problem, rows) for rows in torch.arange(problem.rows).split(4)])

    def of_rows(self, problem: Problem, rows: torch.Tensor) -> torch.Tensor:
        batch = problem.batch(rows, self.tokens[rows])
        logits = problem.weights.eval()(**batch, logits_to_keep=problem.completion + 1).logits[:, :-1]
        return logits.log_softmax(-1).gather(-1, self.tokens[rows, :, None]).squeeze(-1)


@dataclasses.dataclass(frozen=True)
class UpdateCase:
    """I pictures, G completions of T tokens for each, prompts of P tokens."""

    name: str
    ratio: float | None
    """To TRL's compact form."""
    ratio_as_shipped: float | None
    rounds: int = 3
    keeps_slow_peers: bool = True
    dtype = torch.float32
    tolerance: ClassVar = {"logp": 1e-4, "tokens missing": 0}
    reference = Reference
    shapes: ClassVar = (
        {"I": 2, "G": 8, "P": 400, "T": 64},
        {"I": 2, "G": 8, "P": 1000, "T": 64},
        {"I": 2, "G": 4, "P": 1000, "T": 64},
        {"I": 2, "G": 16, "P": 1000, "T": 64},
        {"I": 2, "G": 8, "P": 2000, "T": 64},
    )
    tiny: ClassVar = {"I": 2, "G": 2, "P": 40, "T": 6}

    def input_bytes(self, shape: dict) -> int:
        return 1 << 30

    def problem(self, shape: dict) -> Sides:
        sizes = TINY if shape["P"] == self.tiny["P"] else FULL
        return Sides(Problem(shape["I"], shape["G"], shape["P"], shape["T"], sizes))

    def sides(self, problem: Sides) -> dict[str, Side]:
        return {
            "vlmprobe": Side(lambda: problem.ours.step(), lambda: problem.ours),
            "TRL compact": Side(lambda: problem.trl.step(compact=True), lambda: problem.trl, peer=True),
            "TRL as shipped": Side(lambda: problem.trl.step(compact=False), lambda: problem.trl, peer=True),
        }

    def errors(self, reference: Reference, problem: Sides, side: Side) -> dict[str, float]:
        """Of the log-probabilities of the same completions; and how many tokens are short of B x T in an update."""
        made = side.run()
        problem_ = problem.problem
        logp = made["logp"](reference.tokens)
        missing = problem_.rows * problem_.completion - int(made["mask"].sum())
        return {"logp": float((logp - reference.logp).abs().max()), "tokens missing": abs(missing)}

    def rows(self, shape: dict) -> list[Row]:
        whole = Row("", "vlmprobe", TRL[:1], Work(), self.ratio, peak_share=0.5)
        shipped = Row("as shipped", "vlmprobe", TRL[1:], Work(), self.ratio_as_shipped)
        phases = (
            Row(phase, f"vlmprobe: {phase}", tuple(f"{name}: {phase}" for name in TRL), Work()) for phase in PHASES
        )
        return [whole, shipped, *phases]


@dataclasses.dataclass(frozen=True)
class RealCase(UpdateCase):
    """Vocabulary and widths of Qwen2.5-VL-3B, 4 of its layers, LoRA, bfloat16; logp is held against float32.

    A step of TRL takes minutes: there is one count of threads, one round after the warm-up, and TRL in its compact one.
    """

    rounds: int = 1
    threads: ClassVar = (2,)
    dtype = torch.bfloat16
    tolerance: ClassVar = {"logp": 0.5, "tokens missing": 0}
    shapes: ClassVar = ({"I": 1, "G": 8, "P": 1000, "T": 96},)

    def problem(self, shape: dict) -> Sides:
        sizes = TINY if shape["P"] == self.tiny["P"] else REAL
        return Sides(Problem(shape["I"], shape["G"], shape["P"], shape["T"], sizes, torch.bfloat16, 16))

    def sides(self, problem: Sides) -> dict[str, Side]:
        return {name: side for name, side in super().sides(problem).items() if name != "TRL as shipped"}

    def rows(self, shape: dict) -> list[Row]:
        whole = Row("", "vlmprobe", TRL[:1], Work(), self.ratio, peak_share=0.5)
        return [whole, *(Row(name, f"vlmprobe: {name}", (f"{TRL[0]}: {name}",), Work()) for name in PHASES)]


CASES = (
    UpdateCase("questioner_update", ratio=3.5, ratio_as_shipped=6.0),
    RealCase("questioner_real", ratio=None, ratio_as_shipped=None),
)
