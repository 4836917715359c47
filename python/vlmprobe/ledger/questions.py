"""The questions of runs as their records have them, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlmprobe.ledger.judged import JudgedQuestions
from vlmprobe.ledger.records import QuestionRecord, StepRecord
from vlmprobe.ledger.store import Ledger


@dataclass
class RecordedQuestions:
    """Question records with the image of each, in the order in which they were asked.

    For what looks at single questions; `vlmprobe.loop.tally.Tally` counts, in a fraction of the memory.
    """

    rows: list[tuple[int, QuestionRecord]] = field(default_factory=list)
    """(image id, question)."""
    calls: int = 0
    """Answerer calls for these questions."""
    asking: int = 0
    """Answerer calls that asking took on the way."""
    left_out: int = 0
    """Pictures that could not be read, counted once a step."""

    def add(self, record: StepRecord) -> None:
        """Adds a step's questions."""
        image_of = {sequence.sequence: sequence.image for sequence in record.sequences}
        for question in record.questions:
            self.append(image_of[question.sequence], question)
        self.asking += int(record.numbers.get("asking_calls") or 0)
        self.left_out += int(record.numbers.get("left_out") or 0)

    def append(self, image: int, question: QuestionRecord) -> None:
        """Adds one question."""
        self.rows.append((image, question))
        self.calls += question.answer is not None

    @property
    def spent(self) -> int:
        """All answerer calls."""
        return self.calls + self.asking

    def first(self, calls: int) -> RecordedQuestions:
        """The questions up to the given number of answered ones; those after the last answered one are left out.
        `asking` and `left_out` stay those of all of them."""
        short = RecordedQuestions(asking=self.asking, left_out=self.left_out)
        for row in self.rows:
            if short.calls >= calls:
                break
            short.append(*row)
        return short

    def __repr__(self) -> str:
        more = f" and {self.asking} to ask" if self.asking else ""
        without = f", {self.left_out} pictures left out" if self.left_out else ""
        return f"RecordedQuestions({len(self.rows)} questions, {self.calls} answerer calls{more}{without})"

    def judged(self) -> JudgedQuestions:
        """The same as columns, as their verifier judged them; their steps are not known."""
        rows = self.rows
        return JudgedQuestions(
            step=[0] * len(rows),
            image=[image for image, _ in rows],
            text=[question.text for _, question in rows],
            valid=[is_valid(question) for _, question in rows],
            correct=[is_correct(question) for _, question in rows],
            asked=[question.answer is not None for _, question in rows],
            annotations=[question.annotations for _, question in rows],
        )

    def valid(self) -> list[tuple[int, QuestionRecord]]:
        """The rows judged valid."""
        return [row for row in self.rows if is_valid(row[1])]

    def failures(self) -> list[tuple[int, QuestionRecord]]:
        """The rows judged valid and wrong."""
        return [row for row in self.rows if is_valid(row[1]) and is_correct(row[1]) is False]


def recorded_questions(ledger: Ledger, run: str, *, judging: str | None = None) -> RecordedQuestions:
    """A run's questions as the ledger has them, all phases; with `judging`, as that view judged them."""
    found = RecordedQuestions()
    for step in ledger.each_step(run, judging=judging):
        found.add(step)
    return found


def is_valid(question: QuestionRecord) -> bool | None:
    """True, False, or None for unknown, as where a question was not judged; a slot without a question is not valid."""
    if question.verdict is None:
        return None if question.status == "ok" else False
    return question.verdict.valid


def is_correct(question: QuestionRecord) -> bool | None:
    """Whether the answer was judged right: True, False, or None for unknown."""
    return None if question.verdict is None else question.verdict.correct
