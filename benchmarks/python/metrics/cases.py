"""`vendi_once`: the score of 20000 rows. `vendi_add`: 512 more rows, then the score of all of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import torch
from harness import Row, Side, Work

from . import ours, reference
from .problem import problem

PEER = "vendi_score, dual form"


@dataclass(frozen=True)
class VendiCase:
    """Float32 rows, which the peer converts: in float32 it is not right to 1e-8; or float64 rows for both."""

    name: str
    adds: bool
    ratio: float
    rounds: int = 7
    dtype = torch.float64
    needs = ("vendi_score",)
    tolerance: ClassVar = {"score": 1e-8}
    shapes: ClassVar = ({"rows": "float32"}, {"rows": "float64"})
    tiny: ClassVar = {"rows": "float32", "count": 200, "added": 16, "dimension": 24}

    def input_bytes(self, shape: dict) -> int:
        return 64 << 20

    def problem(self, shape: dict) -> dict:
        sizes = {name: value for name, value in shape.items() if name != "rows"}
        return problem(3, dtype=getattr(torch, shape["rows"]), **sizes)

    def sides(self, given: dict) -> dict[str, Side]:
        theirs = Side(functools.partial(reference.add if self.adds else reference.once, given), peer=True)
        if not self.adds:
            return {"vlmprobe": Side(functools.partial(ours.once, given)), PEER: theirs}
        held: list = []

        def prepare() -> None:
            held[:] = [ours.prepare_add(given)]

        return {"vlmprobe": Side(lambda: ours.add(given, held[0]), prepare), PEER: theirs}

    def reference(self, given: dict) -> float:
        """In float64, from the eigenvalues of the rows' second moment."""
        rows = (given["all"] if self.adds else given["first"]).double()
        rows = rows / rows.norm(dim=1, keepdim=True)
        spectrum = torch.linalg.eigvalsh(rows.T @ rows / len(rows)).clamp(min=0)
        spectrum = spectrum / spectrum.sum()
        return float(torch.special.entr(spectrum).sum().exp())

    def errors(self, expected: float, given: dict, side: Side) -> dict[str, float]:
        side.prepare()
        return {"score": abs(side.run()["score"] - expected) / expected}

    def rows(self, shape: dict) -> list[Row]:
        return [Row("", "vlmprobe", (PEER,), Work(), ratio=self.ratio)]


CASES = (VendiCase("vendi_once", adds=False, ratio=1.5), VendiCase("vendi_add", adds=True, ratio=8.0))
