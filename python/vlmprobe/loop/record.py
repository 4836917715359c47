"""A round as the ledger's records, and back. Nothing else knows both.

step_record(round)        what is written down of it
recorded_round(record)    the round that was written down, as far as records hold it: no tokens, no embeddings
examined_as_recorded      a round that was asked again, with the verdicts and answers that its record has
judged_questions(round)   its questions as their verifier judged them
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vlmprobe.ledger import JudgedQuestions
from vlmprobe.ledger.records import (
    AnswerRecord,
    ImageRecord,
    JudgeRecord,
    QuestionRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
)
from vlmprobe.loop.round import UNKNOWN, Place, Round
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.models.replies import Failure, Reply, Verdict
from vlmprobe.policy.asker import Completions
from vlmprobe.reward import Rewards
from vlmprobe.text import Questions, SlotStatus

HINT = "hint"
"""Annotation of a question that was to be about something: what that was."""
ASKING_CALLS, LEFT_OUT, SHORT, DEGENERATE = "asking_calls", "left_out", "short", "degenerate"
"""What a step's `numbers` hold besides those of its update, each where it is not 0."""


def step_record(
    round: Round, answerer: Answerer, verifier: Verifier, *, numbers: Mapping[str, float] | None = None
) -> StepRecord:
    """Everything about an examined round, as rows for the ledger.

    Args:
        round: examined, or further.
        answerer, verifier: who was asked.
        numbers: what the update did.
    """
    round.expect("record", "verdicts", "answers")
    place = round.place
    counts = {ASKING_CALLS: round.asked.calls, LEFT_OUT: round.left_out, SHORT: round.short}
    counts[DEGENERATE] = degenerate_groups(round)
    return StepRecord(
        run=place.run,
        phase=place.phase,
        step=place.step,
        images=[ImageRecord.of(image) for image in round.images],
        sequences=_sequences(round),
        questions=question_records(round, answerer, verifier),
        judges=[JudgeRecord.of("answerer", answerer), JudgeRecord.of("verifier", verifier)],
        numbers={**(numbers or {}), **{name: count for name, count in counts.items() if count}},
    )


def degenerate_groups(round: Round) -> int:
    """Groups that carry no signal: fewer than two scorable rewards, or all equal. 0 for a round without credit."""
    return 0 if round.degenerate is None else len(round.asked.group[round.degenerate].unique())


def judged_questions(round: Round) -> JudgedQuestions:
    """The questions of an examined round as their verifier judged them."""
    round.expect("record", "verdicts", "answers")
    total = len(round.questions)
    return JudgedQuestions(
        step=[round.place.step] * total,
        image=[picture.id for picture in round.pictures],
        text=round.questions.text,
        valid=_truths(round.valid),
        correct=_truths(round.correct),
        asked=[answer is not None for answer in round.answers],
        annotations=round.annotations or [{}] * total,
    )


def recorded_round(record: StepRecord, pictures: Mapping[int, Picture] | None = None) -> Round:
    """The round that was written down. Of its images it has those with a completion.

    Args:
        record: of a step, as a judging sees it or as it was made.
        pictures: by number; in the place of one that is missing stands its record, which knows no pixels.
    """
    shown: dict[int, Any] = {**{image.id: image for image in record.images}, **(pictures or {})}
    group_of = {sequence.group: sequence.image for sequence in record.sequences}
    place_of = {group: place for place, group in enumerate(group_of)}
    group = torch.tensor([place_of[sequence.group] for sequence in record.sequences], dtype=torch.int64)
    row_of = {sequence.sequence: row for row, sequence in enumerate(record.sequences)}
    questions = record.questions
    return Round(
        place=Place(run=record.run, phase=record.phase, step=record.step),
        images=[shown[image] for image in group_of.values()],
        left_out=int(record.numbers.get(LEFT_OUT) or 0),
        short=int(record.numbers.get(SHORT) or 0),
        asked=Completions(
            [sequence.text for sequence in record.sequences],
            group,
            int(record.numbers.get(ASKING_CALLS) or 0),
            tokens=[sequence.tokens for sequence in record.sequences],
            hints=_hints(record, place_of),
        ),
        questions=Questions.of(
            sequence=[row_of[question.sequence] for question in questions],
            slot=[question.slot for question in questions],
            status=[SlotStatus.__members__.get(question.status, SlotStatus.missing) for question in questions],
            text=[question.text for question in questions],
            k=max((question.slot for question in questions), default=0) + 1,
        ),
        verdicts=[None if question.verdict is None else _verdict(question.verdict) for question in questions],
        answers=[None if question.answer is None else _reply(question.answer) for question in questions],
        annotations=[question.annotations for question in questions],
        rewards=_rewards(record),
    )


def examined_as_recorded(round: Round, record: StepRecord) -> Round:
    """The round, asked again, with what the verifier and the answerer said when it was made.

    Raises:
        ValueError: its questions are not the recorded ones; the weights, the software or the settings are not those of
            the run.
    """
    round.expect("replay", "questions")
    known, texts = [question.text for question in record.questions], round.questions.text
    for i, (old, new) in enumerate(zip(known, texts, strict=False)):
        if old != new:
            raise _other(record, f"question {i}: expected {old!r:.80}, got {new!r:.80}")
    if len(known) != len(texts):
        raise _other(record, f"expected {len(known)} questions, got {len(texts)}")
    found = recorded_round(record)
    return replace(round, verdicts=found.verdicts, answers=found.answers, annotations=found.annotations)


def _sequences(round: Round) -> list[SequenceRecord]:
    asked, rewards = round.asked, round.rewards
    credited = None if round.advantages is None else _of_sequence(round)
    return [
        SequenceRecord(
            sequence=i,
            image=round.images[group].id,
            group=group,
            text=asked.texts[i],
            tokens=tokens,
            reward=None if rewards is None else float(rewards.total[i]),
            advantage=None if credited is None else float(credited[i]),
        )
        for i, (group, tokens) in enumerate(zip(asked.group.tolist(), asked.lengths.tolist(), strict=True))
    ]


def _of_sequence(round: Round) -> Tensor:
    """[B]: advantages per token as their mean over the sequence's tokens."""
    if round.advantages.dim() == 1:
        return round.advantages
    lengths = round.asked.lengths.to(round.advantages.device)
    at = torch.arange(round.advantages.shape[1], device=lengths.device)
    return (round.advantages * (at < lengths[:, None])).sum(1) / lengths.clamp(min=1)


def question_records(
    round: Round, answerer: Answerer, verifier: Verifier, rows: Sequence[int] | None = None
) -> list[QuestionRecord]:
    """The questions of an examined round, or some of its rows, as the ledger has them."""
    round.expect("record", "verdicts", "answers")
    questions, rewards = round.questions, round.rewards
    places = list(zip(questions.sequence.tolist(), questions.slot.tolist(), questions.status.tolist(), strict=True))
    columns = {} if rewards is None else {**rewards.terms, "total": rewards.question}
    terms = {name: values.tolist() for name, values in columns.items()}
    found = []
    for i in range(len(questions)) if rows is None else rows:
        sequence, slot, status = places[i]
        verdict, answer = round.verdicts[i], round.answers[i]
        found.append(
            QuestionRecord(
                sequence=sequence,
                slot=slot,
                status=SlotStatus(status).name,
                text=questions.text[i],
                prefix=questions.prefix[i],
                verdict=None if verdict is None else VerdictRecord.of(verdict, judge=verifier.identity),
                answer=None if answer is None else AnswerRecord.of(answer, answerer=answerer.identity),
                rewards={name: values[i] for name, values in terms.items()},
                annotations=round.annotations[i] if round.annotations else {},
            )
        )
    return found


def _hints(record: StepRecord, place_of: Mapping[int, int]) -> list[str]:
    """[I] by the questions' annotations; empty where none has a hint."""
    group = {sequence.sequence: sequence.group for sequence in record.sequences}
    said = {place_of[group[question.sequence]]: question.annotations.get(HINT) for question in record.questions}
    return [str(said.get(place) or "") for place in range(len(place_of))] if any(said.values()) else []


def _rewards(record: StepRecord) -> Rewards:
    terms = sorted({term for question in record.questions for term in question.rewards})
    columns = {term: _numbers([question.rewards.get(term) for question in record.questions]) for term in terms}
    total = columns.pop("total", _numbers([None] * len(record.questions)))
    return Rewards(total, _numbers([sequence.reward for sequence in record.sequences]), columns)


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


def _truths(column: Tensor) -> list[bool | None]:
    return [None if value == UNKNOWN else bool(value) for value in column.tolist()]


def _numbers(values: Sequence[float | None]) -> Tensor:
    return torch.tensor([math.nan if value is None else value for value in values], dtype=torch.float64)


def _other(record: StepRecord, what: str) -> ValueError:
    return ValueError(
        f"[replay] step {record.step} of run {record.run!r}: {what}. The ledger has this step from other weights, "
        "software or settings: put those back, or name another run"
    )
