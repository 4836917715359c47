"""A run's questions as its verifier judged them: what rates and kinds are counted from, without the rest."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from vlmprobe.ledger.failures import Read
from vlmprobe.ledger.queries import recorded_steps
from vlmprobe.ledger.reading import Kinds, checked_columns, json_values, truths

AT_ONCE = 32  # steps in memory
_KINDS: Kinds = [int, int, str, (int, type(None)), (int, type(None)), int, str]
_QUESTIONS = """
  SELECT step, image, question, valid, correct, asked,
    (SELECT json_group_object(key, json(value)) FROM annotations WHERE annotations.question_id = q.question_id)
  FROM question_rows AS q
  WHERE run = ? AND phase = ? AND step IN (SELECT value FROM json_each(?)) ORDER BY question_id
"""


@dataclass(frozen=True)
class JudgedQuestions:
    """Some questions of a run, in the order they were recorded; every column has a value for each."""

    step: Sequence[int]
    image: Sequence[int]
    """Numbers of the images in their source."""
    text: Sequence[str]
    valid: Sequence[bool | None]
    correct: Sequence[bool | None]
    asked: Sequence[bool]
    """Whether the answerer was asked."""
    annotations: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.step)

    def __repr__(self) -> str:
        return f"JudgedQuestions({len(self)} questions)"

    def first(self, calls: int) -> JudgedQuestions:
        """Up to the question with which the answerer was asked so many times; all where it was asked less often."""
        if calls > sum(self.asked):
            return self
        made = enumerate(itertools.accumulate(self.asked), 1)
        end = next((i for i, count in made if count >= calls), 0) if calls > 0 else 0
        return JudgedQuestions(*(getattr(self, field.name)[:end] for field in fields(self)))


def each_judged(read: Read, run: str) -> Iterator[JudgedQuestions]:
    """A run's questions, some steps at a time."""
    for phase, places in itertools.groupby(read(recorded_steps, run), key=lambda place: place[0]):
        steps = [step for _, step in places]
        for first in range(0, len(steps), AT_ONCE):
            yield read(_of_steps, run, phase, json.dumps(steps[first : first + AT_ONCE]))


def _of_steps(db: sqlite3.Connection, run: str, phase: str, steps: str) -> JudgedQuestions:
    step, image, text, valid, correct, asked, known = checked_columns(db, _QUESTIONS, (run, phase, steps), _KINDS)
    judged = truths("verdicts.valid", valid), truths("verdicts.correct", correct)
    return JudgedQuestions(step, image, text, *judged, [*map(bool, asked)], json_values(known))
