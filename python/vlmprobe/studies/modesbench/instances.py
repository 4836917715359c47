"""Questions on which lists of weaknesses are compared: drawn uniformly about pictures that no run saw.

Planted faults are rare, so all questions that reach one are kept, and of the others one in `THINNED`, which then stands
for so many. Sums of weights are what they would be over all questions that were drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

from vlmprobe._native import core
from vlmprobe.studies.plantedbench.named import EACH, held_out
from vlmprobe.world.source import HELD_OUT_SEED, scene_of

THINNED = 30


@dataclass(frozen=True)
class Instance:
    """A valid question about a picture."""

    image: int
    """Number of the picture among `held_out()`."""
    text: str
    answer: str
    """The right one."""
    reached: frozenset[str]
    """Ids of the planted faults whose condition it meets."""
    weight: int
    """Questions that it stands for."""


def instances(faults: core.world.FaultSet) -> list[Instance]:
    """`EACH` questions about every picture, thinned as the head of this file says."""
    images, ids = held_out(), [fault.id for fault in faults.faults]
    found, others = [], 0
    for index in range(len(images)):
        scene = scene_of(images[index])
        for part in range(EACH):
            said = core.world.sample_question(scene, HELD_OUT_SEED, index, part)
            met = faults.corrupt(scene, said.program, said.question, said.answer, said.answer).reached
            others += not met
            if met or others % THINNED == 0:
                reached = frozenset(ids[place] for place in met)
                found.append(Instance(index, said.question, said.answer, reached, 1 if met else THINNED))
    return found
