"""What a taxonomy is made of: the valid questions of a run, and whether each was answered wrongly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vlmprobe.ledger import ImageRecord, Ledger, StepRecord
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.models.protocols import Picture


@dataclass(frozen=True)
class Question:
    """A valid question."""

    image: int
    """Number of its picture in the run's source."""
    image_key: str
    text: str
    wrong: bool | None
    """Whether the answer was judged wrong; None is unknown."""
    sha256: str = ""
    """Of the picture's pixels when it was asked about; empty: not known."""


def valid_questions(ledger: Ledger, run: str) -> list[Question]:
    """The valid questions of a run, all phases, in the order in which they were asked."""
    images: dict[int, ImageRecord] = {}
    found = []
    for step in ledger.each_step(run):
        images.update((image.id, image) for image in step.images)
        found += _of_step(step, images)
    return found


def distinct(questions: Sequence[Question]) -> list[Question]:
    """The first of each pair of picture and text, in order."""
    return list({(each.image, each.text): each for each in reversed(questions)}.values())[::-1]


def shown(picture: Callable[[int], Picture], question: Question) -> Picture:
    """The picture that a question was asked about.

    Raises:
        ValueError: it is another one by now.
    """
    found = picture(question.image)
    if question.sha256 and found.sha256 != question.sha256:
        raise ValueError(f"{found.key}: expected {question.sha256:.12} as recorded, got {found.sha256:.12}")
    return found


def _of_step(step: StepRecord, images: Mapping[int, ImageRecord]) -> list[Question]:
    image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
    found = []
    for each in step.questions:
        if is_valid(each):
            image, right = images[image_of[each.sequence]], is_correct(each)
            wrong = None if right is None else not right
            found.append(Question(image.id, image.key, each.text, wrong, image.sha256))
    return found
