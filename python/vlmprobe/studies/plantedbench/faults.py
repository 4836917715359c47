"""Sets of faults to plant: from a file, or drawn at random; and the mass of each over the pool."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlmprobe._native import core
from vlmprobe.data.source import ImageSource
from vlmprobe.world.answerers import load_faults
from vlmprobe.world.source import scene_of

REACHABLE = 0.0003
"""Least mass of a fault that a method can be expected to reach."""
COUNT, LEAST, MOST = 10, 0.0003, 0.005  # of a random set: faults, and their masses
EACH = 160  # questions of each picture that masses over a pool are counted on
_CANDIDATES, _DRAWS = 900, 20_000
_MASS_SEED = 1
_RELATIONS = ("left", "right", "above", "below")


@dataclass(frozen=True, kw_only=True)
class FaultList:
    """Faults under a name; the rarest first, so that a common one does not hide it."""

    name: str
    """`random-<seed>`, or the file's without its ending."""
    json: str
    """As `vlmprobe.world.load_faults` reads it."""

    def planted(self, *, seed: int = 0, fires: bool = True) -> core.world.FaultSet:
        """What an answerer is given.

        Args:
            seed: of what fires.
            fires: False: each is there and never fires, for a control.
        """
        listed = [fault if fires else {**fault, "rate": 0} for fault in json.loads(self.json)]
        return core.world.FaultSet.parse(json.dumps(listed), seed)


def of_file(path: str | Path) -> FaultList:
    """The faults of a file.

    Raises:
        ValueError: as `vlmprobe.world.load_faults`.
    """
    return FaultList(name=Path(path).stem, json=load_faults(path).to_json())


def at_random(seed: int) -> FaultList:
    """Ten faults of up to three features each, with masses drawn log-uniformly from .0003 to .005 under the world's
    uniform valid questions; a pure function of the seed.

    For each mass that is drawn, and a number of features, the candidate of the nearest mass is taken that no other
    fault contains. No single feature of the world is as rare as .005, so faults have two or three.
    """
    rng = random.Random(f"plantedbench {seed}")
    candidates = list(_candidates(rng))
    masses = core.world.FaultSet.parse(json.dumps(candidates)).masses(_DRAWS, seed)
    known = [(mass, fault) for mass, fault in zip(masses, candidates, strict=True) if LEAST <= mass <= MOST]
    chosen: list[tuple[float, dict[str, Any]]] = []
    for _ in range(COUNT):
        wanted = math.exp(rng.uniform(math.log(LEAST), math.log(MOST)))
        size = rng.choice(sorted({len(fault["when"]) for _, fault in known}))
        left = [
            one for one in known if len(one[1]["when"]) == size and not any(_nested(one[1], two) for _, two in chosen)
        ]
        chosen.append(min(left, key=lambda one: abs(math.log(one[0] / wanted))))
    rarest = [fault for _, fault in sorted(chosen, key=lambda one: one[0])]
    return FaultList(name=f"random-{seed}", json=json.dumps(rarest))


def masses_over(faults: core.world.FaultSet, images: ImageSource) -> list[float]:
    """The share of valid questions about the pictures that reach each fault: `EACH` questions of every picture, drawn
    as the world draws them (a family uniformly, then objects, attributes and phrasing)."""
    reached = [0] * len(faults.faults)
    for index in range(len(images)):
        scene = scene_of(images[index])
        for part in range(EACH):
            said = core.world.sample_question(scene, _MASS_SEED, index, part)
            for fault in faults.corrupt(scene, said.program, said.question, said.answer, said.answer).reached:
                reached[fault] += 1
    return [count / (len(images) * EACH) for count in reached]


def _candidates(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Conjunctions of one to three features, no two alike."""
    values = _values()
    seen: set[str] = set()
    while len(seen) < _CANDIDATES:
        features = sorted(rng.sample(sorted(values), rng.randint(1, 3)))
        when = {feature: rng.choice(values[feature]) for feature in features}
        name = "+".join(f"{feature}={value}" for feature, value in when.items())
        if name not in seen:
            seen.add(name)
            yield {"id": name, "when": when, "effect": "other"}


def _values() -> dict[str, Sequence[Any]]:
    world = core.world
    words = [*world.colors, *world.shapes, *world.sizes, *world.textures, "yes", "no", *map(str, range(7))]
    return {
        "family": world.families, "answer": words, "num_objects": range(2, 7), "color": world.colors,
        "shape": world.shapes, "size": world.sizes, "texture": world.textures, "relation": _RELATIONS,
        "depth": range(1, 6),
    }  # fmt: skip


def _nested(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether all questions of one fault are questions of the other, as far as their conditions say."""
    a, b = one["when"].items(), other["when"].items()
    return a <= b or b <= a
