"""Answerers of the world: one that is always right, and any answerer with faults planted in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlmprobe._native import core
from vlmprobe._util.json import read_json
from vlmprobe.models.protocols import Answerer, Picture
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.world.source import scene_of

SHIPPED_FAULTS = Path(__file__).parent / "faults.json"


class ExecutingAnswerer:
    """Executes the question: always right where there is a right answer, a refusal where there is none."""

    identity = "world-executing"

    def answer(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """See `vlmprobe.models.protocols.Answerer`."""
        judged = [core.world.judge(scene_of(i), q) for i, q in zip(images, questions, strict=True)]
        return [Reply(text=j.answer) if j.valid else Reply(failure=Failure.REFUSAL) for j in judged]


@dataclass(frozen=True)
class Exposure:
    """What the faults did to one question."""

    reached: tuple[str, ...]
    """Ids of the faults whose condition held."""
    triggered: str | None
    """Id of the fault that changed the answer."""


class FaultyAnswerer:
    """Wraps an answerer with planted faults, and remembers which of them each question met.

    Args:
        inner: any answerer.
        faults: the faults, see `load_faults`.
    """

    def __init__(self, inner: Answerer, faults: core.world.FaultSet):
        self._inner, self.faults = inner, faults
        self._triggered: dict[tuple[str, str], str] = {}  # name of the picture, question
        self._ids = [fault.id for fault in faults.faults]
        ids = ",".join(self._ids)
        what = f"{core.hash(faults.to_json()):016x}, seed={faults.seed}"
        self.identity = f"{inner.identity}+faults[{what}: {ids}]" if ids else inner.identity

    @property
    def model(self) -> object | None:
        """Who is asked, where the answerer asks a model."""
        return getattr(self._inner, "model", None)

    def answer(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """See `vlmprobe.models.protocols.Answerer`."""
        replies = self._inner.answer(images, questions)
        return [self._corrupt(*row) for row in zip(images, questions, replies, strict=True)]

    def exposure(self, image: Picture, question: str) -> Exposure:
        """The faults whose condition the question meets, asked or not, and the one that changed the answer it got."""
        scene = scene_of(image)
        judged = core.world.judge(scene, question)
        if not judged.valid or judged.program is None:
            return Exposure((), None)
        met = self.faults.corrupt(scene, judged.program, question, judged.answer, judged.answer).reached
        return Exposure(tuple(self._ids[i] for i in met), self._triggered.get((image.key, question)))

    def _corrupt(self, image: Picture, question: str, reply: Reply) -> Reply:
        scene = scene_of(image)
        judged = core.world.judge(scene, question)
        if reply.text is None or judged.program is None or not judged.valid:
            return reply
        result = self.faults.corrupt(scene, judged.program, question, judged.answer, reply.text)
        if result.fired is None:
            return reply
        self._triggered[image.key, question] = self._ids[result.fired]
        return Reply(text=result.answer)


def load_faults(path: str | Path = SHIPPED_FAULTS, *, seed: int = 0) -> core.world.FaultSet:
    """Reads a fault file.

    Args:
        path: JSON as in include/vlmprobe/world/faults.h.
        seed: of what fires, 0 to 2**64 - 1.

    Raises:
        ValueError: no such file, a seed out of range, or a fault with unknown features, effects or rates (names the
            fault and what is allowed).
    """
    path = Path(path)
    if not 0 <= seed < 2**64:
        raise ValueError(f"[load_faults] seed: expected 0 to 2**64 - 1, got {seed}")
    content = read_json("load_faults", path, what="a JSON file with faults")
    try:
        return core.world.FaultSet.parse(json.dumps(content), seed)
    except ValueError as error:
        cause = str(error).removeprefix("[world::faults] ").removeprefix("file: ")
        raise ValueError(f"[load_faults] {path}: {cause}") from None
