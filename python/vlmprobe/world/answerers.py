"""Answerers of the world: one that is always right, and any answerer with faults planted in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlmprobe._native import core
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

    def __init__(self, inner: Answerer, faults):
        self._inner, self.faults = inner, faults
        self._exposures: dict[tuple[int, str], Exposure] = {}
        ids = ",".join(fault.id for fault in faults.faults)
        self.identity = f"{inner.identity}+faults[{core.hash(faults.to_json()):016x}: {ids}]" if ids else inner.identity

    def answer(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """See `vlmprobe.models.protocols.Answerer`."""
        replies = self._inner.answer(images, questions)
        return [self._corrupt(*row) for row in zip(images, questions, replies, strict=True)]

    def exposure(self, image: Picture, question: str) -> Exposure:
        """What the faults did when this question was asked; nothing when it never was."""
        return self._exposures.get((scene_of(image).id, question), Exposure((), None))

    def _corrupt(self, image: Picture, question: str, reply: Reply) -> Reply:
        scene = scene_of(image)
        judged = core.world.judge(scene, question)
        if not (reply.ok and judged.valid):
            return reply
        result = self.faults.corrupt(scene, judged.program, question, judged.answer, reply.text)
        ids = [fault.id for fault in self.faults.faults]
        triggered = None if result.fired is None else ids[result.fired]
        self._exposures[scene.id, question] = Exposure(tuple(ids[i] for i in result.reached), triggered)
        return Reply(text=result.answer)


def load_faults(path: str | Path = SHIPPED_FAULTS, *, seed: int = 0):
    """Reads a fault file.

    Raises:
        ValueError: no such file, or a fault with unknown features, effects or rates (named, with the allowed ones).
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"[load_faults] path: expected a file, got {str(path)!r}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"[load_faults] path: expected UTF-8 text, got {str(path)!r} ({error.reason})") from None
    return core.world.FaultSet.parse(text, seed)
