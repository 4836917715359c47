"""What a taxonomy is made of: the valid questions of a run, and whether each was answered wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlmprobe.ledger import Ledger, StepRecord
from vlmprobe.ledger.questions import is_correct, is_valid


@dataclass(frozen=True)
class Question:
    """A valid question."""

    image: int
    """Number of its picture in the run's source."""
    image_key: str
    text: str
    wrong: bool | None
    """Whether the answer was judged wrong; None is unknown."""


def valid_questions(ledger: Ledger, run: str) -> list[Question]:
    """The valid questions of a run, all phases, in the order in which they were asked."""
    keys: dict[int, str] = {}
    found = []
    for step in ledger.each_step(run):
        keys.update((image.id, image.key) for image in step.images)
        found += _of_step(step, keys)
    return found


def distinct(questions: Sequence[Question]) -> list[Question]:
    """The first of each pair of picture and text, in order."""
    return list({(each.image, each.text): each for each in reversed(questions)}.values())[::-1]


def _of_step(step: StepRecord, keys: dict[int, str]) -> list[Question]:
    image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
    found = []
    for each in step.questions:
        if is_valid(each):
            image, right = image_of[each.sequence], is_correct(each)
            wrong = None if right is None else not right
            found.append(Question(image, keys.get(image, str(image)), each.text, wrong))
    return found
