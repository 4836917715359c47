"""The ledger: everything a run asked, was told and scored, in one SQLite file, for ever."""

from vlmprobe.ledger.failures import FailureRow, Failures
from vlmprobe.ledger.judged import JudgedQuestions
from vlmprobe.ledger.queries import Counts, EventRow, PhaseProgress, RunProgress, StepCounts
from vlmprobe.ledger.questions import RecordedQuestions, recorded_questions
from vlmprobe.ledger.recorded_model import RecordedModel, made_or_not, recorded
from vlmprobe.ledger.records import (
    AnswerRecord,
    ImageRecord,
    JudgeRecord,
    LabelRecord,
    QuestionRecord,
    RunRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
)
from vlmprobe.ledger.reply_cache import CachedModel
from vlmprobe.ledger.store import Ledger

__all__ = [
    "AnswerRecord",
    "CachedModel",
    "Counts",
    "EventRow",
    "FailureRow",
    "Failures",
    "ImageRecord",
    "JudgeRecord",
    "JudgedQuestions",
    "LabelRecord",
    "Ledger",
    "PhaseProgress",
    "QuestionRecord",
    "RecordedModel",
    "RecordedQuestions",
    "RunProgress",
    "RunRecord",
    "SequenceRecord",
    "StepCounts",
    "StepRecord",
    "VerdictRecord",
    "made_or_not",
    "recorded",
    "recorded_questions",
]
