"""What an annotator sees and says: the drawn questions in their order, and a label for each key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe.ledger import LabelRecord, Ledger
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.metrics.judged import state
from vlmprobe.review.choose import draw


@dataclass(frozen=True, kw_only=True)
class Posed:
    """A question of a run with its answer."""

    phase: str
    step: int
    sequence: int
    slot: int
    image: int
    """Number of the picture."""
    question: str
    answer: str | None
    """None where the answerer was not asked, or did not answer."""
    judged: int
    """State by the verifier."""

    @property
    def place(self) -> tuple[str, int, int, int]:
        """In the run."""
        return self.phase, self.step, self.sequence, self.slot


@dataclass(frozen=True)
class Said:
    """What a key says."""

    label: str
    """For the page."""
    valid: bool | None
    correct: bool | None
    criterion: str | None = None


KEYS = {
    "c": Said("correct", True, True),
    "w": Said("wrong", True, False),
    "v": Said("valid, answer not told", True, None),
    "1": Said("not grammatical", False, None, "grammatical"),
    "2": Said("more than one question", False, None, "atomic"),
    "3": Said("needs no picture", False, None, "grounded"),
    "4": Said("no single right answer", False, None, "objective"),
    "u": Said("unsure", None, None),
}


class Desk:
    """An annotator's way through the questions that were drawn.

    Args:
        ledger: of the run, open for writing.
        run: its name.
        annotator: who labels.
        items: questions that are drawn.
        seed: of the draw; all annotators of one seed see the same questions.

    Raises:
        ValueError: no name, or a run without a verdict.
    """

    def __init__(self, ledger: Ledger, run: str, *, annotator: str, items: int, seed: int = 0):
        if not annotator.strip():
            raise ValueError("[label] --as: expected a name, got none")
        self._ledger, self._run, self._annotator = ledger, run, annotator
        posed = posed_of(ledger, run)
        drawn = draw([each.judged for each in posed], [each.place for each in posed], items=items, seed=seed)
        if not drawn:
            raise ValueError(f"[label] run {run!r}: expected a question with a verdict, got none")
        self.items: Sequence[Posed] = [posed[each.row] for each in drawn]
        self._probability = [each.probability for each in drawn]
        mine = (label for label in ledger.labels(run) if label.annotator == annotator)
        self._said = {(each.phase, each.step, each.sequence, each.slot): each for each in mine}

    @property
    def done(self) -> int:
        """Items that this annotator has labelled."""
        return sum(item.place in self._said for item in self.items)

    @property
    def first(self) -> int:
        """The first item without a label; the number of items where all have one."""
        return next((i for i, item in enumerate(self.items) if item.place not in self._said), len(self.items))

    def shown(self, at: int) -> dict[str, Any]:
        """What the page shows of an item: not the verdict, so that nobody leans on it."""
        if not 0 <= at < len(self.items):
            return {"at": at, "of": len(self.items), "done": self.done, "finished": True}
        item, keys = self.items[at], self._keys(at)
        said = self._said.get(item.place)
        given = next((key for key in keys if said is not None and _same(KEYS[key], said)), None)
        return {
            "at": at, "of": len(self.items), "done": self.done, "finished": False, "question": item.question,
            "answer": item.answer, "keys": [[key, KEYS[key].label] for key in keys], "said": given,
        }  # fmt: skip

    def say(self, at: int, key: str) -> None:
        """Labels an item; another label of the same annotator gives way.

        Raises:
            ValueError: no such item, or a key that says nothing about it.
        """
        if not 0 <= at < len(self.items):
            raise ValueError(f"[label] at: expected 0 to {len(self.items) - 1}, got {at}")
        if key not in self._keys(at):
            raise ValueError(f"[label] key: expected one of {', '.join(self._keys(at))}, got {key!r:.20}")
        item, said = self.items[at], KEYS[key]
        label = LabelRecord(
            run=self._run, phase=item.phase, step=item.step, sequence=item.sequence, slot=item.slot,
            annotator=self._annotator, valid=said.valid, correct=said.correct, criterion=said.criterion,
            probability=self._known_probability(at), question=item.question,
        )  # fmt: skip
        self._ledger.add_labels([label], replace=True)
        self._said[item.place] = label

    def _keys(self, at: int) -> list[str]:
        """Without those about an answer where there is none."""
        return [key for key in KEYS if key not in "cw" or self.items[at].answer is not None]

    def _known_probability(self, at: int) -> float:
        """With which the question was drawn; where others labelled it in an earlier draw, that of then."""
        place = self.items[at].place
        for label in self._ledger.labels(self._run):
            if (label.phase, label.step, label.sequence, label.slot) == place and label.probability is not None:
                return label.probability
        return self._probability[at]


def posed_of(ledger: Ledger, run: str) -> list[Posed]:
    """A run's questions with a text, in order."""
    found = []
    for step in ledger.each_step(run):
        image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
        for each in step.questions:
            if each.text:
                found.append(
                    Posed(
                        phase=step.phase, step=step.step, sequence=each.sequence, slot=each.slot,
                        image=image_of[each.sequence], question=each.text,
                        answer=None if each.answer is None else each.answer.text,
                        judged=state(is_valid(each), is_correct(each)),
                    )
                )  # fmt: skip
    return found


def _same(said: Said, label: LabelRecord) -> bool:
    return (said.valid, said.correct, said.criterion) == (label.valid, label.correct, label.criterion)
