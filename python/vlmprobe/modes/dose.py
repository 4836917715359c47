"""Dose and response: the questions of a mode again, about pictures that are edited more and more strongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlmprobe import metrics
from vlmprobe.modes.cases import Case, ask_cases
from vlmprobe.modes.edits import Dose, dosed
from vlmprobe.modes.planned import Roles

WHAT = "dose"
STRENGTHS: dict[Dose, tuple[float, ...]] = {
    "downscale": (1.5, 2.0, 3.0, 4.0), "blur": (0.005, 0.01, 0.02, 0.04), "contrast": (0.3, 0.6, 0.8, 0.9),
}  # fmt: skip


@dataclass(frozen=True)
class Response:
    """The failure rate at a strength."""

    strength: float
    rate: metrics.Rate
    """Of the questions that were valid still, with an interval that counts pictures."""


def response(
    cases: Sequence[Case], kind: Dose, roles: Roles, *, calls: int, strengths: Sequence[float] = ()
) -> tuple[list[Response], int]:
    """The curve of failure against dose, and the calls that were spent.

    Args:
        cases: questions about pictures as they are, of which a mode takes the questions; right ones among them, else
            there is no room for a response.
        kind: of edit.
        roles: who answers and judges.
        calls: answerer calls at most, in equal parts for each strength.
        strengths: of the edit; by default those of `STRENGTHS`.
    """
    steps = list(strengths or STRENGTHS[kind])
    found, spent = [], 0
    for strength in steps:
        edited = [(case, image) for case in cases if (image := dosed(case.image, kind, strength)) is not None]
        asked = [Case(image, case.question) for case, image in edited]
        outcomes, used = ask_cases(asked, roles, calls=calls // len(steps), what=WHAT)
        spent += used
        valid = [(case.image.key, each.wrong) for (case, _), each in zip(edited, outcomes, strict=True) if each.valid]
        rate = metrics.rate([wrong for _, wrong in valid], cluster=[key for key, _ in valid])
        found.append(Response(strength, rate))
    return found, spent
