"""The judged questions of a run, each pair of picture and question once, with what is known of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vlmprobe.ledger import Ledger, StepRecord
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.modes.concepts import Concept, answer_words, answers_of, labels_of, words_of

Labels = Mapping[str, Sequence[str]]
"""Question -> what somebody says of it, such as the skills of a taxonomy."""
NO_LABELS: Labels = MappingProxyType({})


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
    concepts: frozenset[Concept] = field(default=frozenset(), repr=False)

    @property
    def pair(self) -> tuple[str, str]:
        """Picture and question; equal ones are one question."""
        return self.key, self.text


def asked_of(ledger: Ledger, runs: Iterable[str], *, labels: Labels = NO_LABELS) -> list[Asked]:
    """The distinct pairs of picture and question of some runs that were judged, in their order.

    A pair that was asked several times is what it was first. A question whose validity, or whose answer, could not be
    judged is left out: it is neither a failure nor right.

    Args:
        ledger: of the runs.
        runs: their names.
        labels: see `Labels`.
    """
    found: dict[tuple[str, str], Asked] = {}
    for run in runs:
        for step in ledger.each_step(run):
            for each in _judged(step):
                found.setdefault(each.pair, each)
    return described(list(found.values()), labels=labels)


def described(
    asked: Sequence[Asked], *, labels: Labels = NO_LABELS, known: frozenset[str] | None = None
) -> list[Asked]:
    """The questions with their concepts.

    Args:
        asked: without them.
        labels: see `Labels`.
        known: words that are right answers; by default those of these questions.
    """
    if known is None:
        known = answer_words(each.answer for each in asked if each.valid and not each.wrong)
    return [replace(each, concepts=_concepts(each, labels, known)) for each in asked]


def _concepts(each: Asked, labels: Labels, known: frozenset[str]) -> frozenset[Concept]:
    found = words_of(each.text) | labels_of(labels.get(each.text, ()))
    if not each.valid:
        return found
    return found | answers_of(each.answer, each.reason, correct=not each.wrong, known=known)


def _judged(step: StepRecord) -> Iterable[Asked]:
    image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
    key_of = {image.id: image.key for image in step.images}
    for question in step.questions:
        image, valid, correct = image_of[question.sequence], is_valid(question), is_correct(question)
        if not question.text or valid is None or (valid and correct is None):
            continue
        said = question.answer.text if valid and question.answer is not None else None
        why = question.verdict.reason if valid and question.verdict is not None else ""
        yield Asked(
            image=image, key=key_of[image], text=question.text, valid=valid, wrong=valid and correct is False,
            answer=said or "", reason=why,
        )  # fmt: skip
