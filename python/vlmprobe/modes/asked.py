"""The judged questions of a run, each pair of picture and question once, with what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vlmprobe.ledger import Ledger, StepRecord
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.metrics.judged import INVALID, RIGHT
from vlmprobe.modes.concepts import Concept, answer_words, answers_of, labels_of, picture_of, words_of
from vlmprobe.review.people import Place, told_by_people


@dataclass(frozen=True, kw_only=True)
class Besides:
    """What somebody says besides of questions and of pictures."""

    questions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Question -> labels, such as the skills of a taxonomy."""
    pictures: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Name of a picture -> a caption, or tags."""


NOTHING = Besides()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question about a picture, and what became of it."""

    image: int
    """Number of the picture in its source."""
    key: str
    """Name of the picture."""
    text: str
    valid: bool
    wrong: bool
    """Whether the answer was judged wrong; False where the question is not valid."""
    answer: str = ""
    reason: str = ""
    """The verifier's words about the answer."""
    by_people: bool = False
    """Whether `valid` and `wrong` are what people say, in the place of the verifier's verdict."""
    concepts: frozenset[Concept] = field(default=frozenset(), repr=False)

    @property
    def pair(self) -> tuple[str, str]:
        """Picture and question; equal ones are one question."""
        return self.key, self.text


def asked_of(ledger: Ledger, runs: Iterable[str], *, besides: Besides = NOTHING) -> list[Asked]:
    """The distinct pairs of picture and question of some runs that were judged, in their order.

    A pair that was asked several times is what it was first. What people say of a question, where most of those who
    labelled it agree, takes the place of the verifier's verdict. A question whose validity, or whose answer, could not
    be judged is left out: it is neither a failure nor right.

    Args:
        ledger: of the runs.
        runs: their names.
        besides: what is said of them besides.
    """
    found: dict[tuple[str, str], Asked] = {}
    for run in runs:
        told = told_by_people(ledger, run)
        for step in ledger.each_step(run):
            for each in _judged(step, told):
                found.setdefault(each.pair, each)
    return described(list(found.values()), besides=besides)


def described(
    asked: Sequence[Asked], *, besides: Besides = NOTHING, known: frozenset[str] | None = None
) -> list[Asked]:
    """The questions with their concepts.

    Args:
        asked: without them.
        besides: what is said of them besides.
        known: words that are right answers; by default those of these questions.
    """
    if known is None:
        known = answer_words(each.answer for each in asked if each.valid and not each.wrong)
    return [replace(each, concepts=_concepts(each, besides, known)) for each in asked]


def _concepts(each: Asked, besides: Besides, known: frozenset[str]) -> frozenset[Concept]:
    found = words_of(each.text) | labels_of(besides.questions.get(each.text, ()))
    found |= picture_of(besides.pictures.get(each.key, ()))
    if not each.valid:
        return found
    return found | answers_of(each.answer, each.reason, correct=not each.wrong, known=known)


def _judged(step: StepRecord, told: Mapping[Place, int]) -> Iterable[Asked]:
    image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
    key_of = {image.id: image.key for image in step.images}
    for question in step.questions:
        image, valid, correct = image_of[question.sequence], is_valid(question), is_correct(question)
        people = told.get((step.phase, step.step, question.sequence, question.slot))
        if people is not None:
            valid, correct = people != INVALID, None if people == INVALID else people == RIGHT
        if not question.text or valid is None or (valid and correct is None):
            continue
        said = question.answer.text if valid and question.answer is not None else None
        why = question.verdict.reason if valid and question.verdict is not None else ""
        yield Asked(
            image=image, key=key_of[image], text=question.text, valid=valid, wrong=valid and correct is False,
            answer=said or "", reason=why, by_people=people is not None,
        )  # fmt: skip
