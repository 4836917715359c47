"""`judging`: steps of models that are waited for; a step is to take little more than the longer of its two halves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from harness import Row, Side, Work
from machine import Machine

PEER = "in turn"


@dataclass(frozen=True)
class Waits(Work):
    """The least that waiting takes."""

    wait_s: float = 0.0

    def seconds(self, machine: Machine) -> float:
        return self.wait_s


@dataclass(frozen=True)
class JudgingCase:
    name: str = "judging"
    rounds: int = 1
    dtype = torch.uint8
    needs = ()
    tolerance: ClassVar = {"failures wrong": 0}
    shapes: ClassVar = ({"steps": 8, "asks_s": 4.0, "answers_s": 0.2, "judges_s": 1.0},)
    tiny: ClassVar = {"steps": 2, "asks_s": 0.02, "answers_s": 0.01, "judges_s": 0.02}

    def input_bytes(self, shape: dict) -> int:
        return 0

    def problem(self, shape: dict):
        from .problem import Problem

        return Problem(**shape)

    def sides(self, problem) -> dict[str, Side]:
        from .ours import steps

        return {
            "vlmprobe": Side(lambda: steps(problem, overlap=True)),
            PEER: Side(lambda: steps(problem, overlap=False), peer=True),
        }

    def reference(self, problem) -> list[int]:
        from .problem import STEP

        return [STEP] * problem.steps

    def errors(self, expected: list[int], problem, side: Side) -> dict[str, float]:
        found = side.run()["failures"]
        return {"failures wrong": abs(len(found) - len(expected)) + sum(map(abs, map(int.__sub__, found, expected)))}

    def rows(self, shape: dict) -> list[Row]:
        from .problem import longer_s

        waits = {name: value for name, value in shape.items() if name != "steps"}
        least = Waits(wait_s=longer_s(**waits))
        return [Row("a step", "vlmprobe: step", (f"{PEER}: step",), least, of_limit=1.15)]


CASES = (JudgingCase(),)
