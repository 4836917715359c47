"""The ledger: everything a run asked, was told and scored, in one SQLite file, for ever."""

from vlmprobe.ledger.queries import Counts, FailureRow, PhaseProgress, RunProgress, StepCounts
from vlmprobe.ledger.records import (
    AnswerRecord,
    ImageRecord,
    QuestionRecord,
    RunRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
)
from vlmprobe.ledger.store import Ledger

__all__ = [
    "AnswerRecord",
    "Counts",
    "FailureRow",
    "ImageRecord",
    "Ledger",
    "PhaseProgress",
    "QuestionRecord",
    "RunProgress",
    "RunRecord",
    "SequenceRecord",
    "StepCounts",
    "StepRecord",
    "VerdictRecord",
]
