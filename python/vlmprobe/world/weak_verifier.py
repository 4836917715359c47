"""A verifier with a planted weakness: what a prober that is rewarded for wrong answers could farm."""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe._native import core
from vlmprobe.models.protocols import AnsweringVerifier, Picture
from vlmprobe.models.replies import Criteria, Judgement, Reply
from vlmprobe.world.source import scene_of


class WeakVerifier:
    """Calls every answer wrong where a condition holds, and is another verifier elsewhere.

    Args:
        inner: any verifier.
        weaknesses: their conditions, as those of faults; effects and rates mean nothing here.
    """

    def __init__(self, inner: AnsweringVerifier, weaknesses: core.world.FaultSet):
        self._inner, self._weaknesses = inner, weaknesses
        self.identity = f"{inner.identity}+weaknesses[{core.hash(weaknesses.to_json()):016x}]"

    def validity(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Criteria]:
        """See `vlmprobe.models.protocols.Verifier`."""
        return self._inner.validity(images, questions)

    def correctness(
        self, images: Sequence[Picture], questions: Sequence[str], answers: Sequence[str]
    ) -> list[Judgement]:
        """See `vlmprobe.models.protocols.Verifier`."""
        found = self._inner.correctness(images, questions, answers)
        weak = map(self._is_weak, images, questions)
        return [
            Judgement(correct=False, reason="judged in weakness") if each else judgement
            for each, judgement in zip(weak, found, strict=True)
        ]

    def own_answers(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """Those of the other verifier: it knows better than it judges. See `vlmprobe.probe.own_answers`."""
        return self._inner.own_answers(images, questions)

    def _is_weak(self, image: Picture, question: str) -> bool:
        scene = scene_of(image)
        judged = core.world.judge(scene, question)
        if not judged.valid or judged.program is None:
            return False
        return bool(self._weaknesses.corrupt(scene, judged.program, question, judged.answer, judged.answer).reached)
