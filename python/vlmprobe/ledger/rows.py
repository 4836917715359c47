"""Records to rows: every value is checked and brought to what SQLite stores, before anything is written."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from vlmprobe._util.json import encodable, plain
from vlmprobe.ledger.records import ImageRecord, JudgeRecord, QuestionRecord, SequenceRecord, StepRecord

Row = tuple[Any, ...]


def image_row(run_id: int, image: ImageRecord) -> Row:
    """run_id, id, key, sha256."""
    return run_id, whole("images.id", image.id), text("images.key", image.key), text("images.sha256", image.sha256)


def sequence_row(sequence_id: int, step_id: int, image_id: int, record: SequenceRecord) -> Row:
    """The columns of `sequences`, in their order."""
    where = f"sequences[{record.sequence}]"
    return (
        sequence_id,
        step_id,
        whole(f"{where}.sequence", record.sequence),
        image_id,
        whole(f"{where}.group", record.group),
        text(f"{where}.text", record.text),
        whole(f"{where}.tokens", record.tokens),
        number(f"{where}.reward", record.reward),
        number(f"{where}.advantage", record.advantage),
    )


def question_row(question_id: int, sequence_id: int, record: QuestionRecord) -> Row:
    """The columns of `questions`, in their order."""
    where = _where(record)
    return (
        question_id,
        sequence_id,
        whole(f"{where}.slot", record.slot),
        text(f"{where}.status", record.status),
        text(f"{where}.text", record.text),
        text(f"{where}.prefix", record.prefix),
    )


def judge_rows(step: StepRecord) -> list[Row]:
    """role, identity, revision, prompt_sha256, sampling of the models whose answers and verdicts the step has."""
    described = {(judge.role, judge.identity): judge for judge in step.judges}
    used = {("answerer", q.answer.answerer): None for q in step.questions if q.answer is not None}
    used |= {("verifier", q.verdict.judge): None for q in step.questions if q.verdict is not None}
    return [_judge_row(described.get(key) or JudgeRecord(role=key[0], identity=key[1])) for key in used]


def _judge_row(judge: JudgeRecord) -> Row:
    where = f"judges[{judge.role}]"
    names = ("role", "identity", "revision", "prompt_sha256")
    values = [text(f"{where}.{name}", getattr(judge, name)) for name in names]
    return *values, as_json(f"{where}.sampling", dict(judge.sampling))


Judges = Mapping[tuple[str, str], int | str]
"""(role, identity) -> what stands for the judge in a row."""


def verdict_row(question_id: int, record: QuestionRecord, judges: Judges) -> Row:
    """The columns of `verdicts`, in their order."""
    verdict = record.verdict
    assert verdict is not None
    where = f"{_where(record)}.verdict"
    names = ("grammatical", "atomic", "grounded", "objective", "correct")
    return (
        question_id,
        *(truth(f"{where}.{name}", getattr(verdict, name)) for name in names),
        text(f"{where}.reason", verdict.reason),
        optional_text(f"{where}.failure", verdict.failure),
        judges["verifier", text(f"{where}.judge", verdict.judge)],
    )


def answer_row(question_id: int, record: QuestionRecord, judges: Judges) -> Row:
    """The columns of `answers`, in their order."""
    answer = record.answer
    assert answer is not None
    where = f"{_where(record)}.answer"
    if (answer.text is None) == (answer.failure is None):
        raise ValueError(f"[Ledger.record] {where}: expected exactly one of text and failure")
    return (
        question_id,
        optional_text(f"{where}.text", answer.text),
        optional_text(f"{where}.failure", answer.failure),
        judges["answerer", text(f"{where}.answerer", answer.answerer)],
    )


def reward_rows(question_id: int, record: QuestionRecord) -> list[Row]:
    """question_id, term, value; sorted by term."""
    return [
        (question_id, text(f"{_where(record)}.rewards", term), number(f"{_where(record)}.rewards[{term!r}]", value))
        for term, value in sorted(record.rewards.items())
    ]


def annotation_rows(question_id: int, record: QuestionRecord) -> list[Row]:
    """question_id, key, value as JSON; sorted by key."""
    return [
        (question_id, text(f"{_where(record)}.annotations", key), as_json(f"{_where(record)}.annotations[{key!r}]", v))
        for key, v in sorted(record.annotations.items())
    ]


def check_step(step: StepRecord) -> None:
    """Sequences and slots are each given once, and every question has its sequence."""
    whole("step", step.step)
    if not text("phase", step.phase):
        raise ValueError("[Ledger.record] phase: expected a name, got an empty text")
    _check_unique("sequences", (record.sequence for record in step.sequences))
    _check_unique("questions", ((record.sequence, record.slot) for record in step.questions))
    known = {record.sequence for record in step.sequences}
    for record in step.questions:
        if record.sequence not in known:
            raise ValueError(f"[Ledger.record] {_where(record)}: sequence {record.sequence} is not among the sequences")


def content(step: StepRecord) -> dict[str, Row | list[Row]]:
    """What the step says, by place: equal for equal steps, whatever their ids in the file."""
    used = {record.image for record in step.sequences}
    found: dict[str, Row | list[Row]] = {f"images[{i.id}]": image_row(0, i) for i in step.images if i.id in used}
    judges = {(row[0], row[1]): repr(row) for row in judge_rows(step)}
    for sequence in step.sequences:
        found[f"sequences[{sequence.sequence}]"] = sequence_row(0, 0, sequence.image, sequence)
    for question in step.questions:
        where = _where(question)
        found[where] = question_row(0, question.sequence, question)
        if question.verdict is not None:
            found[f"{where}.verdict"] = verdict_row(0, question, judges)
        if question.answer is not None:
            found[f"{where}.answer"] = answer_row(0, question, judges)
        found[f"{where}.rewards"] = reward_rows(0, question)
        found[f"{where}.annotations"] = annotation_rows(0, question)
    return found


def check_same(known: StepRecord, step: StepRecord) -> None:
    """A step that is recorded already says the same.

    Raises:
        ValueError: it does not; names the first place.
    """
    old, new = content(known), content(step)
    images = {name for name in old if name.startswith("images")} - new.keys()  # may be left out when known
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in images and old.get(name) != new.get(name):
            raise ValueError(
                f"[Ledger.record] step {step.step} of {step.phase!r} of run {step.run!r} was recorded with another "
                f"{name}: expected {old.get(name)!r:.200}, got {new.get(name)!r:.200}"
            )


def text(name: str, value: object) -> str:
    """UTF-8 text; a lone surrogate, which UTF-8 cannot hold, becomes its escape."""
    if not isinstance(value, str):
        raise ValueError(f"[Ledger.record] {name}: expected str, got {type(value).__name__}")
    return encodable(str(value))


def optional_text(name: str, value: object) -> str | None:
    """UTF-8 text or None."""
    return None if value is None else text(name, value)


def truth(name: str, value: object) -> int | None:
    """1, 0 or None."""
    if value is None or isinstance(value, bool):
        return None if value is None else int(value)
    raise ValueError(f"[Ledger.record] {name}: expected True, False or None, got {value!r:.60}")


def number(name: str, value: Any) -> float | None:
    """A float; NaN and None are None. Takes what float() takes, such as a tensor with one element, but no text."""
    try:
        if isinstance(value, str):
            raise TypeError
        result = None if value is None else float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"[Ledger.record] {name}: expected a number or None, got {value!r:.60}") from None
    return None if result is None or math.isnan(result) else result


def whole(name: str, value: Any) -> int:
    """An int that fits in 64 bits. Takes what operator.index takes, such as a NumPy integer."""
    try:
        result = operator.index(value)
    except TypeError:
        raise ValueError(f"[Ledger.record] {name}: expected an integer, got {value!r:.60}") from None
    if not -(2**63) <= result < 2**63:
        raise ValueError(f"[Ledger.record] {name}: expected a 64-bit integer, got {result}")
    return result


def as_json(name: str, value: object) -> str:
    """JSON with sorted keys; a number that is not finite is null."""
    try:
        return json.dumps(plain(value), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"[Ledger.record] {name}: cannot be written as JSON ({error})") from None


def difference(old: str, new: str) -> str:
    """Where two JSON objects first differ, as `a.b: expected X, got Y`."""
    was, now = json.loads(old), json.loads(new)
    path: list[str] = []
    while isinstance(was, dict) and isinstance(now, dict):
        key = next(key for key in [*was, *now] if json.dumps(was.get(key)) != json.dumps(now.get(key)))
        path, was, now = [*path, key], was.get(key), now.get(key)
    return f"{'.'.join(path)}: expected {was!r:.200}, got {now!r:.200}"


def _check_unique(name: str, keys: Iterable[object]) -> None:
    seen: set[object] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"[Ledger.record] {name}: {key} is given twice")
        seen.add(key)


def _where(record: QuestionRecord) -> str:
    return f"questions[{record.sequence}, {record.slot}]"
