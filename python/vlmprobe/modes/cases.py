"""Single cases, a question about a picture each, put before the answerer and the verifier, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vlmprobe.data.image import Image
from vlmprobe.ledger import recorded_questions
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.modes.planned import PlannedStep, Roles, ask_planned

PICTURES = 16
"""Of a step."""


@dataclass(frozen=True)
class Case:
    """A question about a picture, which may be edited."""

    image: Image
    """Pictures of equal keys are one."""
    question: str


@dataclass(frozen=True)
class Outcome:
    """What became of a case. All is None where it was not asked, or an answer or a verdict could not be had."""

    valid: bool | None = None
    wrong: bool | None = None
    """Whether the answer was judged wrong; None also where the question is not valid."""
    answer: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it is a valid question that was answered wrongly."""
        return self.valid is True and self.wrong is True


class Pictures(list[Image]):
    """Pictures that are there, as a source."""

    @property
    def keys(self) -> list[str]:
        """Their names, in order."""
        return [image.key for image in self]


def ask_cases(cases: Sequence[Case], roles: Roles, *, calls: int, what: str) -> tuple[list[Outcome], int]:
    """The outcome of each case, and the answerer calls that were spent; the same cases again cost none twice.

    Args:
        cases: what is asked; equal ones are asked once.
        roles: who answers and judges; its pictures are not used.
        calls: answerer calls at most; what they do not do for has no outcome.
        what: for, as `vlmprobe.modes.planned.ask_planned` has it.
    """
    if not cases or calls < 1:
        return [Outcome()] * len(cases), 0
    number = {key: i for i, key in enumerate(dict.fromkeys(case.image.key for case in cases))}
    images = {number[case.image.key]: replace(case.image, id=number[case.image.key]) for case in cases}
    texts: dict[int, dict[str, None]] = {}
    for case in cases:
        texts.setdefault(number[case.image.key], {})[case.question] = None
    order = list(texts)
    steps = [
        PlannedStep(purpose=what, texts={i: list(texts[i]) for i in order[begin : begin + PICTURES]})
        for begin in range(0, len(order), PICTURES)
    ]
    source = Pictures(images[i] for i in range(len(images)))
    name, tally = ask_planned(steps, replace(roles, images=source), calls=calls, what=what)
    found = {
        (image, each.text): Outcome(is_valid(each), _wrong(is_correct(each)), each.answer.text if each.answer else None)
        for image, each in recorded_questions(roles.ledger, name).rows
    }
    return [found.get((number[case.image.key], case.question), Outcome()) for case in cases], tally.spent


def _wrong(correct: bool | None) -> bool | None:
    return None if correct is None else not correct
