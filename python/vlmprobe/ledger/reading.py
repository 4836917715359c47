"""A step as it was recorded, read back from the tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from vlmprobe.ledger.file import Damaged
from vlmprobe.ledger.records import (
    AnswerRecord,
    ImageRecord,
    JudgeRecord,
    QuestionRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
)

IN_STEP = "question_id IN (SELECT question_id FROM questions JOIN sequences USING (sequence_id) WHERE step_id = ?)"
_NONE = type(None)
_REAL = (float, int, _NONE)
Kinds = Sequence[type | tuple[type, ...]]


def step_id(db: sqlite3.Connection, run: str, phase: str, step: int) -> int | None:
    """The step's number in the file, or None when it was not recorded."""
    query = "SELECT step_id FROM steps JOIN runs USING (run_id) WHERE runs.id = ? AND phase = ? AND step = ?"
    found = db.execute(query, (run, phase, step)).fetchone()
    return None if found is None else int(found[0])


def step_record(db: sqlite3.Connection, run: str, phase: str, step: int) -> StepRecord | None:
    """The step, or None when it was not recorded."""
    found = step_id(db, run, phase, step)
    if found is None:
        return None
    with snapshot(db):
        (numbers,) = checked_columns(db, "SELECT numbers FROM steps WHERE step_id = ?", (found,), [str])
        ids, *columns = checked_columns(db, _QUESTIONS, (found,), [int, int, int, str, str, str])
        between = (ids[0], ids[-1]) if ids else (0, -1)  # written together: no other step's are among them
        return StepRecord(
            run=run,
            phase=phase,
            step=step,
            images=_images(db, found),
            sequences=_sequences(db, found),
            questions=_questions(db, between, ids, columns),
            judges=_judges(db, between),
            numbers=json_object(numbers[0]),
        )


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """All queries inside see one state of the file, and lock it once."""
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


def verdicts_by_question(db: sqlite3.Connection, query: str, values: tuple[int, ...]) -> dict[int, VerdictRecord]:
    """question_id -> verdict, from a query for its number, the criteria, correct, reason, failure and judge."""
    truth = (int, _NONE)
    kinds: Kinds = [int, truth, truth, truth, truth, truth, str, (str, _NONE), str]
    question_id, *criteria, reason, failure, judge = checked_columns(db, query, values, kinds)
    found = [truths("verdicts", column) for column in criteria]
    return {
        i: VerdictRecord(
            grammatical=a, atomic=b, grounded=c, objective=d, correct=e, reason=why, failure=failed, judge=who
        )
        for i, a, b, c, d, e, why, failed, who in zip(question_id, *found, reason, failure, judge, strict=True)
    }


def rewards_by_question(
    db: sqlite3.Connection, query: str, values: tuple[Any, ...]
) -> dict[int, dict[str, float | None]]:
    """question_id -> term -> value, from a query for the three."""
    found: dict[int, dict[str, float | None]] = {}
    for question_id, term, value in zip(*checked_columns(db, query, values, [int, str, _REAL]), strict=True):
        found.setdefault(question_id, {})[term] = value
    return found


def annotations_by_question(db: sqlite3.Connection, query: str, values: tuple[Any, ...]) -> dict[int, dict[str, Any]]:
    """question_id -> key -> value, from a query for the three."""
    question_id, keys, texts = checked_columns(db, query, values, [int, str, str])
    found: dict[int, dict[str, Any]] = {}
    for i, key, value in zip(question_id, keys, json_values(texts), strict=True):
        found.setdefault(i, {})[key] = value
    return found


def json_values(texts: Sequence[str]) -> list[Any]:
    """The values of JSON texts, read at once."""
    values: list[Any] = json.loads(f"[{','.join(texts)}]")
    if len(values) != len(texts):
        raise Damaged("expected a JSON value in each row")
    return values


def json_object(text: str) -> dict[str, Any]:
    """The object of a JSON text."""
    found = json.loads(text)
    if not isinstance(found, dict):
        raise Damaged(f"expected a JSON object, got {text[:60]!r}")
    return found


def _images(db: sqlite3.Connection, step_id: int) -> list[ImageRecord]:
    query = """
      SELECT id, key, sha256 FROM images
      WHERE image_id IN (SELECT image_id FROM sequences WHERE step_id = ?) ORDER BY id
    """
    columns = checked_columns(db, query, (step_id,), [int, str, str])
    return [ImageRecord(id=i, key=key, sha256=sha256) for i, key, sha256 in zip(*columns, strict=True)]


def _sequences(db: sqlite3.Connection, step_id: int) -> list[SequenceRecord]:
    query = """
      SELECT sequence, images.id, group_id, text, tokens, reward, advantage
      FROM sequences JOIN images USING (image_id) WHERE step_id = ? ORDER BY sequence_id
    """
    columns = checked_columns(db, query, (step_id,), [int, int, int, str, int, _REAL, _REAL])
    return [
        SequenceRecord(
            sequence=sequence, image=image, group=group, text=text, tokens=tokens, reward=reward, advantage=advantage
        )
        for sequence, image, group, text, tokens, reward, advantage in zip(*columns, strict=True)
    ]


def _judges(db: sqlite3.Connection, between: tuple[int, int]) -> list[JudgeRecord]:
    columns = checked_columns(db, _JUDGES, (*between, *between), [str] * 5)
    return [
        JudgeRecord(
            role=role, identity=identity, revision=revision, prompt_sha256=prompt, sampling=json_object(sampling)
        )
        for role, identity, revision, prompt, sampling in zip(*columns, strict=True)
    ]


def _questions(
    db: sqlite3.Connection, between: tuple[int, int], ids: Sequence[int], columns: Sequence[Sequence[Any]]
) -> list[QuestionRecord]:
    verdicts = verdicts_by_question(db, _VERDICTS, between)
    rewards = rewards_by_question(db, _REWARDS, between)
    annotations = annotations_by_question(db, _ANNOTATIONS, between)
    answers = {
        i: AnswerRecord(text=text, failure=failure, answerer=answerer)
        for i, text, failure, answerer in zip(
            *checked_columns(db, _ANSWERS, between, [int, (str, _NONE), (str, _NONE), str]), strict=True
        )
    }
    return [
        QuestionRecord(
            sequence=sequence,
            slot=slot,
            status=status,
            text=text,
            prefix=prefix,
            verdict=verdicts.get(i),
            answer=answers.get(i),
            rewards=rewards.get(i, {}),
            annotations=annotations.get(i, {}),
        )
        for i, sequence, slot, status, text, prefix in zip(ids, *columns, strict=True)
    ]


_QUESTIONS = """
  SELECT question_id, sequence, slot, status, questions.text, prefix
  FROM questions JOIN sequences USING (sequence_id) WHERE step_id = ? ORDER BY question_id
"""
_VERDICTS = """
  SELECT question_id, grammatical, atomic, grounded, objective, correct, reason, failure, identity
  FROM verdicts JOIN judges USING (judge_id) WHERE question_id BETWEEN ? AND ?
"""
_ANSWERS = """
  SELECT question_id, text, failure, identity
  FROM answers JOIN judges USING (judge_id) WHERE question_id BETWEEN ? AND ?
"""
_REWARDS = "SELECT question_id, term, value FROM rewards WHERE question_id BETWEEN ? AND ?"
_ANNOTATIONS = "SELECT question_id, key, value FROM annotations WHERE question_id BETWEEN ? AND ?"
_JUDGES = """
  SELECT role, identity, revision, prompt_sha256, sampling FROM judges
  WHERE judge_id IN (
    SELECT judge_id FROM verdicts WHERE question_id BETWEEN ? AND ?
    UNION SELECT judge_id FROM answers WHERE question_id BETWEEN ? AND ?
  ) ORDER BY judge_id
"""


_TRUTHS = {0: False, 1: True, None: None}


def truths(name: str, column: Sequence[int | None]) -> list[bool | None]:
    """A column of 0, 1 and NULL.

    Raises:
        Damaged: another number.
    """
    if not _TRUTHS.keys() >= {*column}:
        wrong = next(value for value in column if value not in _TRUTHS)
        raise Damaged(f"{name}: expected 0, 1 or NULL, got {wrong}")
    return [_TRUTHS[value] for value in column]


def checked_columns(db: sqlite3.Connection, query: str, values: tuple[Any, ...], kinds: Kinds) -> list[list[Any]]:
    """The rows of a query, column by column, each of the given kinds: SQLite itself would keep anything anywhere."""
    cursor = db.execute(query, values)
    rows = cursor.fetchall()
    columns = [[row[i] for row in rows] for i in range(len(kinds))]  # zip(*rows) is far slower
    for (name, *_), column, kind in zip(cursor.description, columns, kinds, strict=True):
        allowed = {kind} if isinstance(kind, type) else {*kind}
        if not allowed.issuperset(map(type, column)):
            wrong = next(value for value in column if type(value) not in allowed)
            raise Damaged(f"{name}: expected {' or '.join(each.__name__ for each in allowed)}, got {wrong!r:.60}")
    return columns
