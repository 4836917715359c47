"""A step whose replies the ledger has already, taken from there: nothing that was paid for is asked again."""

from __future__ import annotations

import torch

from vlmprobe.examine import UNKNOWN, Examined
from vlmprobe.ledger.records import AnswerRecord, StepRecord, VerdictRecord
from vlmprobe.models.replies import Failure, Reply, Verdict
from vlmprobe.models.service import UNSERVED, Service
from vlmprobe.steps import Annotator
from vlmprobe.text import Questions


def examined_again(record: StepRecord, questions: Questions) -> Examined:
    """The verdicts and answers of the recorded step, for the questions as the questioner asked them again.

    Raises:
        ValueError: they are not the recorded questions; the weights, the software or the settings are not those of the
            run.
    """
    known = [question.text for question in record.questions]
    for i, (old, new) in enumerate(zip(known, questions.text, strict=False)):
        if old != new:
            raise _other(record, f"question {i}: expected {old!r:.80}, got {new!r:.80}")
    if len(known) != len(questions):
        raise _other(record, f"expected {len(known)} questions, got {len(questions)}")
    verdicts = [question.verdict for question in record.questions]
    return Examined(
        torch.tensor([0 if verdict is None else _tri(verdict.valid) for verdict in verdicts], dtype=torch.int8),
        torch.tensor([UNKNOWN if verdict is None else _tri(verdict.correct) for verdict in verdicts], dtype=torch.int8),
        [None if verdict is None else _verdict(verdict) for verdict in verdicts],
        [None if question.answer is None else _reply(question.answer) for question in record.questions],
    )


def annotator_of(record: StepRecord) -> Annotator:
    """Gives what was known about each question, in the order in which `step_record` asks."""
    known = iter([question.annotations for question in record.questions if question.text])
    return lambda picture, question, reply: next(known)


def recall(service: Service, record: StepRecord) -> None:
    """Says which roles were served in a recorded step."""
    for question in record.questions:
        if question.answer is not None and question.answer.failure not in UNSERVED:
            service.saw("answerer")
        verdict = question.verdict
        if verdict is not None and (verdict.failure not in UNSERVED or verdict.valid is not None):
            service.saw("verifier")


def _verdict(record: VerdictRecord) -> Verdict:
    return Verdict(
        grammatical=record.grammatical,
        atomic=record.atomic,
        grounded=record.grounded,
        objective=record.objective,
        correct=record.correct,
        reason=record.reason,
        failure=_failure(record.failure),
    )


def _reply(record: AnswerRecord) -> Reply:
    return Reply(text=record.text, failure=_failure(record.failure))


def _failure(name: str | None) -> Failure | None:
    if name is not None and name not in {*Failure}:
        raise ValueError(f"[replay] failure: expected one of {', '.join(Failure)}, got {name!r:.60}")
    return None if name is None else Failure(name)


def _tri(value: bool | None) -> int:
    return UNKNOWN if value is None else int(value)


def _other(record: StepRecord, what: str) -> ValueError:
    return ValueError(
        f"[replay] step {record.step} of run {record.run!r}: {what}. The ledger has this step from other weights, "
        "software or settings: put those back, or name another run"
    )
