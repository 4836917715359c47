"""What the world knows about a question, for the ledger and for scoring discovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlmprobe._native import core
from vlmprobe.models.protocols import Picture
from vlmprobe.models.replies import Reply
from vlmprobe.run.journal import Annotator
from vlmprobe.world.answerers import FaultyAnswerer
from vlmprobe.world.source import scene_of


def annotator(answerer: object) -> Annotator:
    """Annotates questions with their family, program, skills, right answer and the faults they met.

    Args:
        answerer: the one that was asked; faults are known of a `FaultyAnswerer` only.
    """

    def annotate(image: Picture, question: str, reply: Reply | None) -> Mapping[str, Any]:
        judged = core.world.judge(scene_of(image), question)
        if judged.program is None:
            return {}
        program = judged.program
        known: dict[str, Any] = {"family": program.family, "program": str(program), "skills": program.skills}
        known["truth"] = judged.answer
        if isinstance(answerer, FaultyAnswerer):
            exposure = answerer.exposure(image, question)
            known["reached"] = list(exposure.reached)
            known["triggered"] = exposure.triggered if reply is not None else None
        return known

    return annotate
