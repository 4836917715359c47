"""`neighbours_4096`: the nearest stored question of each new one. `commit_score_1e6`: a step as the memory grows."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from harness import Row, Side, Work

from . import ours, peers
from .problem import Banks

PEERS = {"numpy per image": peers.numpy_per_image, "torch.bmm": peers.torch_bmm, "faiss-cpu": peers.faiss_per_image}


@dataclass(frozen=True)
class NeighboursCase:
    """Q queries over I images with banks of R rows of width D."""

    name: str
    rounds: int = 7
    dtype = torch.float32
    needs = ("faiss",)
    tolerance: ClassVar = {"cosine": 2e-6}
    shapes: ClassVar = ({"I": 256, "R": 1000, "D": 384, "Q": 4096},)
    tiny: ClassVar = {"I": 4, "R": 50, "D": 32, "Q": 64}

    def input_bytes(self, shape: dict) -> int:
        return 4 * shape["I"] * shape["R"] * shape["D"]

    def problem(self, shape: dict) -> Banks:
        return Banks(shape["I"], shape["R"], shape["D"], shape["Q"])

    def sides(self, banks: Banks) -> dict[str, Side]:
        calls = {"vlmprobe": ours.novelty} | ({"vlmprobe, nearest": ours.nearest} if ours.has_nearest() else {})
        prepare = functools.partial(ours.memory_of, banks)
        mine = {name: Side(functools.partial(call, banks), prepare) for name, call in calls.items()}
        return mine | {name: Side(functools.partial(call, banks), peer=True) for name, call in PEERS.items()}

    def reference(self, banks: Banks) -> np.ndarray:
        """In float64, image by image."""
        asked = banks.asked.view(banks.images, -1, banks.width)
        found = [(asked[i].double() @ banks.stored[i].double().T).amax(1) for i in range(banks.images)]
        return torch.cat(found).numpy()

    def errors(self, reference: np.ndarray, banks: Banks, side: Side) -> dict[str, float]:
        side.prepare()
        # A novelty is clamped to [0, 1]: what is less alike than not at all counts as 0.
        return {"cosine": float(np.abs(side.run()["cosine"].clip(0, 1) - reference.clip(0, 1)).max())}

    def rows(self, shape: dict) -> list[Row]:
        flops = 2 * shape["Q"] * shape["R"] * shape["D"]
        work = Work(read=self.input_bytes(shape) + 4 * shape["Q"] * shape["D"], flops=flops)
        rows = [Row("novelty", "vlmprobe", tuple(PEERS), work, ratio=1.0, of_limit=1.5)]
        if ours.has_nearest():
            rows.append(Row("nearest", "vlmprobe, nearest", tuple(PEERS), work, ratio=1.0, of_limit=1.5))
        return rows


@dataclass(frozen=True)
class GrowthCase:
    """A step of Q questions when I images of R rows are stored, against the same step with fewer images."""

    name: str
    most: float
    """The step's cost over that of the small memory, at most."""
    rounds: int = 15
    dtype = torch.float32
    tolerance: ClassVar = {"questions not entered": 0}
    shapes: ClassVar = ({"I": 1000, "R": 1000, "D": 384, "Q": 512},)
    tiny: ClassVar = {"I": 100, "R": 20, "D": 32, "Q": 32}
    share = 100

    def input_bytes(self, shape: dict) -> int:
        return 4 * shape["I"] * shape["R"] * shape["D"]

    def problem(self, shape: dict) -> dict[str, ours.Steps]:
        few = max(1, shape["I"] // self.share)
        banks = Banks(min(shape["I"], 32), shape["R"], shape["D"], shape["Q"])
        return {"vlmprobe": ours.Steps(banks, shape["I"]), "vlmprobe, a hundredth stored": ours.Steps(banks, few)}

    def sides(self, problem: dict[str, ours.Steps]) -> dict[str, Side]:
        return {name: Side(steps.step) for name, steps in problem.items()}

    def reference(self, problem: dict[str, ours.Steps]) -> int:
        return next(iter(problem.values())).banks.queries

    def errors(self, reference: int, problem: dict, side: Side) -> dict[str, float]:
        return {"questions not entered": float(reference - side.run()["new"])}

    def rows(self, shape: dict) -> list[Row]:
        return [Row("", "vlmprobe", ("vlmprobe, a hundredth stored",), Work(), ratio=1 / self.most)]


CASES = (NeighboursCase("neighbours_4096"), GrowthCase("commit_score_1e6", most=1.5))
