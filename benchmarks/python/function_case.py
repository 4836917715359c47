"""A case of three functions: `problem(seed, **shape)`, `reference(problem)` and `ours(problem)`, each giving a dict."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from harness import Row, Side, Work


@dataclass(frozen=True)
class FunctionCase:
    """Ours against the reference, and against peers where there are any. Every number of the reference is compared."""

    name: str
    make: Callable[..., dict]
    reference: Callable[[dict], dict]
    ours: Callable[[dict], dict]
    shapes: tuple[dict, ...]
    tiny: dict
    most: float
    """The largest difference of a number that counts as equal."""
    ratio: float | None = None
    peers: dict[str, Callable[[dict], dict]] = field(default_factory=dict)
    peer: str = "reference"
    """What the reference is called in the lines, where it is timed; empty: it only checks."""
    rounds: int = 5
    calls: int = 1
    needs: tuple[str, ...] = ()
    """Packages of the peers, as they are imported."""
    dtype = torch.float64

    @property
    def tolerance(self) -> dict[str, float]:
        return {"difference": self.most}

    def input_bytes(self, shape: dict) -> int:
        return 0

    def problem(self, shape: dict) -> dict:
        return self.make(3, **shape)

    def sides(self, problem: dict) -> dict[str, Side]:
        sides = {"vlmprobe": Side(functools.partial(self.ours, problem), calls=self.calls)}
        timed = ({self.peer: self.reference} if self.peer else {}) | self.peers
        return sides | {name: Side(functools.partial(call, problem), peer=True) for name, call in timed.items()}

    def errors(self, reference: dict, problem: dict, side: Side) -> dict[str, float]:
        found = side.run()
        return {"difference": max(difference(reference[name], found[name]) for name in reference)}

    def rows(self, shape: dict) -> list[Row]:
        names = ((self.peer,) if self.peer else ()) + tuple(self.peers)
        return [Row("", "vlmprobe", names, Work(), self.ratio)]


def difference(expected, found) -> float:
    """The largest; infinite where shapes, texts or keys differ, or one side alone has a NaN."""
    if isinstance(expected, Mapping):
        same = dict(expected) == dict(found)
        return 0.0 if same else float("inf")
    expected, found = np.asarray(expected), np.asarray(found)
    if expected.shape != found.shape:
        return float("inf")
    if expected.dtype.kind in "OSU":
        return 0.0 if (expected == found).all() else float("inf")
    expected, found = expected.astype(np.float64), found.astype(np.float64)
    if (np.isnan(expected) != np.isnan(found)).any():
        return float("inf")
    kept = ~np.isnan(expected) & (expected != found)  # equal infinities differ by nothing
    return float(np.abs(expected[kept] - found[kept]).max(initial=0.0))
