"""A step as it was recorded, read back from the tables."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

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


def step_id(db: sqlite3.Connection, run: str, phase: str, step: int) -> int | None:
    """The step's number in the file, or None when it was not recorded."""
    query = "SELECT step_id FROM steps JOIN runs USING (run_id) WHERE runs.id = ? AND phase = ? AND step = ?"
    found = db.execute(query, (run, phase, step)).fetchone()
    return None if found is None else int(found[0])


def verdicts_by_question(db: sqlite3.Connection, query: str, values: tuple[int, ...]) -> dict[int, VerdictRecord]:
    """question_id -> verdict, from a query for both."""
    return {row.pop("question_id"): VerdictRecord(**row) for row in _dicts(db, query, values)}


def step_record(db: sqlite3.Connection, run: str, phase: str, step: int) -> StepRecord | None:
    """The step, or None when it was not recorded."""
    found = step_id(db, run, phase, step)
    if found is None:
        return None
    return StepRecord(
        run=run,
        phase=phase,
        step=step,
        images=_images(db, found),
        sequences=_sequences(db, found),
        questions=_questions(db, found),
        judges=_judges(db, found),
        numbers=json.loads(db.execute("SELECT numbers FROM steps WHERE step_id = ?", (found,)).fetchone()[0]),
    )


def _images(db: sqlite3.Connection, step_id: int) -> list[ImageRecord]:
    query = """
      SELECT id, key, sha256 FROM images
      WHERE image_id IN (SELECT image_id FROM sequences WHERE step_id = ?) ORDER BY id
    """
    return [ImageRecord(id=i, key=key, sha256=sha256) for i, key, sha256 in db.execute(query, (step_id,))]


def _sequences(db: sqlite3.Connection, step_id: int) -> list[SequenceRecord]:
    query = """
      SELECT sequence, images.id AS image, group_id AS "group", text, tokens, reward, advantage
      FROM sequences JOIN images USING (image_id) WHERE step_id = ? ORDER BY sequence_id
    """
    return [SequenceRecord(**row) for row in _dicts(db, query, (step_id,))]


def _judges(db: sqlite3.Connection, step_id: int) -> list[JudgeRecord]:
    found = db.execute(_JUDGES, (step_id, step_id))
    return [
        JudgeRecord(
            role=role, identity=identity, revision=revision, prompt_sha256=prompt, sampling=json.loads(sampling)
        )
        for role, identity, revision, prompt, sampling in found
    ]


def _questions(db: sqlite3.Connection, step_id: int) -> list[QuestionRecord]:
    verdicts = verdicts_by_question(db, _VERDICTS, (step_id,))
    answers = {row.pop("question_id"): AnswerRecord(**row) for row in _dicts(db, _ANSWERS, (step_id,))}
    rewards: dict[int, dict[str, float | None]] = {}
    for question_id, term, value in db.execute(f"SELECT * FROM rewards WHERE {IN_STEP}", (step_id,)):
        rewards.setdefault(question_id, {})[term] = value
    annotations: dict[int, dict[str, Any]] = {}
    for question_id, key, value in db.execute(f"SELECT * FROM annotations WHERE {IN_STEP}", (step_id,)):
        annotations.setdefault(question_id, {})[key] = json.loads(value)
    return [
        QuestionRecord(
            **row,
            verdict=verdicts.get(question_id),
            answer=answers.get(question_id),
            rewards=rewards.get(question_id, {}),
            annotations=annotations.get(question_id, {}),
        )
        for row in _dicts(db, _QUESTIONS, (step_id,))
        for question_id in (row.pop("question_id"),)
    ]


_QUESTIONS = """
  SELECT question_id, sequence, slot, status, questions.text, prefix
  FROM questions JOIN sequences USING (sequence_id) WHERE step_id = ? ORDER BY question_id
"""
_VERDICTS = f"""
  SELECT question_id, grammatical, atomic, grounded, objective, correct, reason, failure, identity AS judge
  FROM verdicts JOIN judges USING (judge_id) WHERE {IN_STEP}
"""
_ANSWERS = f"""
  SELECT question_id, text, failure, identity AS answerer
  FROM answers JOIN judges USING (judge_id) WHERE {IN_STEP}
"""
_JUDGES = f"""
  SELECT role, identity, revision, prompt_sha256, sampling FROM judges
  WHERE judge_id IN (SELECT judge_id FROM verdicts WHERE {IN_STEP} UNION SELECT judge_id FROM answers WHERE {IN_STEP})
  ORDER BY judge_id
"""
_TRUTHS = {"grammatical", "atomic", "grounded", "objective", "correct"}


def _dicts(db: sqlite3.Connection, query: str, values: tuple[int, ...]) -> list[dict[str, Any]]:
    cursor = db.execute(query, values)
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return [{k: bool(v) if k in _TRUTHS and v is not None else v for k, v in row.items()} for row in rows]
