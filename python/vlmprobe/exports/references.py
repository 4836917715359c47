"""Right answers to a run's questions: what the source of the pictures knows, else what another answerer said, where the
run's verifier judged that right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlmprobe.ledger import Ledger, QuestionRecord
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.modes.record import questions_of

TRUTH = "truth"
"""Annotation with which the source of a picture knows the right answer, and who says so."""
Pair = tuple[str, str]


@dataclass(frozen=True)
class Reference:
    """A right answer."""

    text: str
    by: str
    """`truth`, or the answerer whose answer the verifier judged right."""


def references(ledger: Ledger, others: Sequence[Ledger] = ()) -> dict[Pair, Reference]:
    """Pair of picture and question -> its right answer, where one is known.

    Args:
        ledger: of the run.
        others: of other answerers to the same questions (`vlmprobe compare`); the first that has a right answer counts.

    Raises:
        ValueError: another ledger was judged by another verifier.
    """
    found: dict[Pair, Reference] = {}
    verifier = ledger.runs()[0].identities.get("verifier")
    for other in others:
        judge = other.runs()[0].identities.get("verifier")
        if judge != verifier:
            raise ValueError(f"[references] {other.path}: expected verdicts of {verifier!r:.80}, got {judge!r:.80}")
        for pair, reference in _said_rightly(other):
            found.setdefault(pair, reference)
    return {**found, **dict(_known(ledger))}


def beside(folder: Path) -> list[Path]:
    """The ledgers that `vlmprobe compare` left in a run's folder."""
    return sorted(folder.glob("compared/*/ledger.sqlite"))


def _known(ledger: Ledger) -> Iterable[tuple[Pair, Reference]]:
    for pair, each in _asked(ledger):
        truth = each.annotations.get(TRUTH)
        if isinstance(truth, str) and truth:
            yield pair, Reference(truth, TRUTH)


def _said_rightly(ledger: Ledger) -> Iterable[tuple[Pair, Reference]]:
    for pair, each in _asked(ledger):
        if each.answer is not None and each.answer.text and is_valid(each) and is_correct(each):
            yield pair, Reference(each.answer.text, each.answer.answerer)


def _asked(ledger: Ledger) -> Iterable[tuple[Pair, QuestionRecord]]:
    for run in questions_of(ledger):
        for step in ledger.each_step(run):
            image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
            key_of = {image.id: image.key for image in step.images}
            for each in step.questions:
                yield (key_of[image_of[each.sequence]], each.text), each
