"""What reports ask of a ledger. Read-only, and in an order that depends on the records alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vlmprobe.ledger.file import Damaged
from vlmprobe.ledger.reading import json_object
from vlmprobe.ledger.records import RunRecord
from vlmprobe.models.chat import Spent


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Totals over questions."""

    n_questions: int
    """Slots, missing and malformed ones included."""
    n_valid: int
    """Valid on all four criteria."""
    n_invalid: int
    """Without a question, or some criterion false."""
    n_unscored: int
    """Validity unknown, or valid and correctness unknown."""
    n_wrong: int
    """Valid and answered wrongly: the failures."""
    answerer_calls: int
    """Questions sent to the answerer, answered or not."""


@dataclass(frozen=True, kw_only=True)
class StepCounts(Counts):
    """Totals over the questions of one step."""

    step: int
    reward: float | None
    """Mean over the scored sequences; None without one."""


@dataclass(frozen=True, kw_only=True)
class PhaseProgress:
    """How far a phase came."""

    phase: str
    steps: int
    """Steps recorded."""
    last_step: int
    """The highest of them."""
    questions: int


@dataclass(frozen=True, kw_only=True)
class RunProgress:
    """How far a run came."""

    run: str
    finished: bool
    """False while it runs and after an interruption."""
    phases: list[PhaseProgress]
    """In the order they were begun."""

    def __str__(self) -> str:
        parts = [f"{self.run}: {'finished' if self.finished else 'interrupted'}"]
        for phase in self.phases:
            steps = f"{phase.steps:,} step{'' if phase.steps == 1 else 's'}, last {phase.last_step}"
            parts.append(f"{phase.phase}: {steps}, {phase.questions:,} questions")
        return "; ".join(parts)


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """Something that happened."""

    kind: str
    """`resumed`, `endpoint`, `picture`, ..."""
    text: str
    """Of an endpoint's events: JSON, the fields of `vlmprobe.models.chat.ClientEvent` with the role; of pictures:
    JSON, see `vlmprobe.run.pictures`."""
    time: str
    """When it was written down, ISO 8601."""


_COUNTS = """
  count(*) AS n_questions,
  coalesce(sum(valid = 1), 0) AS n_valid,
  coalesce(sum(valid = 0), 0) AS n_invalid,
  coalesce(sum(valid IS NULL OR (valid = 1 AND correct IS NULL)), 0) AS n_unscored,
  coalesce(sum(found = 1), 0) AS n_wrong,
  coalesce(sum(asked), 0) AS answerer_calls
"""
_ORDER = {  # in this order, and each by these columns
    "runs": "run_id",
    "images": "image_id",
    "judges": "judge_id",
    "steps": "step_id",
    "sequences": "sequence_id",
    "questions": "question_id",
    "verdicts": "question_id",
    "answers": "question_id",
    "rewards": "question_id, term",
    "annotations": "question_id, key",
    "calls": "call_id",
    "judgings": "judging_id",
    "judging_verdicts": "judging_id, question_id",
    "judging_rewards": "judging_id, question_id, term",
    "judging_sequences": "judging_id, sequence_id",
    "labels": "question_id, annotator",
    "events": "event_id",
}


_WITHIN = "(id = ? OR substr(id, 1, length(?) + 1) = ? || '/')"  # the run, and runs within it, such as evaluations


def runs(db: sqlite3.Connection) -> list[RunRecord]:
    """The runs, in the order they were begun."""
    found = db.execute("SELECT id, config, versions, identities FROM runs ORDER BY run_id")
    return [
        RunRecord(
            id=name, config=json_object(config), versions=json_object(versions), identities=json_object(identities)
        )
        for name, config, versions, identities in found
    ]


def run_id(db: sqlite3.Connection, run: str) -> int:
    """The run's number in the file."""
    found = db.execute("SELECT run_id FROM runs WHERE id = ?", (run,)).fetchone()
    if found is None:
        raise ValueError(f"[Ledger] run {run!r} was not begun; call begin first")
    return int(found[0])


def times(db: sqlite3.Connection) -> list[tuple[str, str | None]]:
    """Beginning and end of each run."""
    return [
        (began, ended) for began, ended in db.execute("SELECT created_time, finished_time FROM runs ORDER BY run_id")
    ]


def recorded_steps(db: sqlite3.Connection, run: str) -> list[tuple[str, int]]:
    """(phase, step) of the run's steps, in the order they were recorded."""
    query = "SELECT phase, step FROM steps JOIN runs USING (run_id) WHERE runs.id = ? ORDER BY step_id"
    return [(phase, step) for phase, step in db.execute(query, (run,))]


def has_steps(db: sqlite3.Connection, run: str) -> bool:
    """Whether a step of the run, or of one within it, is recorded."""
    query = f"SELECT 1 FROM steps JOIN runs USING (run_id) WHERE {_WITHIN} LIMIT 1"
    return db.execute(query, (run, run, run)).fetchone() is not None


def progress(db: sqlite3.Connection) -> list[RunProgress]:
    """How far each run came."""
    phases = """
      SELECT phase, count(DISTINCT steps.step_id) AS steps, max(step) AS last_step, count(question_id) AS questions
      FROM steps LEFT JOIN sequences USING (step_id) LEFT JOIN questions USING (sequence_id)
      WHERE run_id = ? GROUP BY phase ORDER BY min(steps.step_id)
    """
    found = db.execute("SELECT run_id, id, finished_time IS NOT NULL FROM runs ORDER BY run_id").fetchall()
    return [
        RunProgress(
            run=name,
            finished=bool(finished),
            phases=[PhaseProgress(**row) for row in _dicts(db, phases, (run_id,))],
        )
        for run_id, name, finished in found
    ]


def events(db: sqlite3.Connection, run: str, kind: str | None) -> list[EventRow]:
    """What happened in a run, in order."""
    query = """
      SELECT kind, text, event_time AS time FROM events JOIN runs USING (run_id)
      WHERE runs.id = ? AND kind = coalesce(?, kind) ORDER BY event_id
    """
    return [EventRow(**row) for row in _dicts(db, query, (run, kind))]


def spent(db: sqlite3.Connection, run: str, role: str) -> Spent:
    """What a role's budgets were charged in a run and in the runs within it, such as its evaluations."""
    query = f"""
      SELECT coalesce(sum(charged_calls), 0) AS calls, coalesce(sum(charged_prompt_tokens), 0) AS prompt_tokens,
             coalesce(sum(charged_completion_tokens), 0) AS completion_tokens
      FROM calls JOIN runs USING (run_id) WHERE {_WITHIN} AND role = ?
    """
    return Spent(**next(_dicts(db, query, (run, run, run, role))))


def counts(db: sqlite3.Connection, phase: str | None, run: str | None) -> Counts:
    """Totals over the questions."""
    where, values = _where(phase, run)
    return Counts(**next(_dicts(db, f"SELECT {_COUNTS} FROM question_rows WHERE {where}", values)))


def steps(db: sqlite3.Connection, phase: str, run: str | None) -> list[StepCounts]:
    """Totals for each step; steps without a question are left out."""
    where, values = _where(phase, run)
    rewards = f"""
      SELECT step, avg(reward) FROM sequences JOIN steps USING (step_id)
      JOIN (SELECT run_id, id AS run FROM runs) USING (run_id) WHERE {where} GROUP BY step
    """
    mean = dict(db.execute(rewards, values).fetchall())
    found = _dicts(db, f"SELECT step, {_COUNTS} FROM question_rows WHERE {where} GROUP BY step ORDER BY step", values)
    return [StepCounts(**row, reward=mean.get(row["step"])) for row in found]


def dump(db: sqlite3.Connection, times: bool) -> Iterator[str]:
    """All tables, one JSON line per row."""
    for table, order in _ORDER.items():
        for row in _dicts(db, f"SELECT * FROM {table} ORDER BY {order}", ()):
            kept = {name: value for name, value in row.items() if times or not name.endswith("_time")}
            yield json.dumps({"table": table, **kept}, default=_of_no_kind)


def _of_no_kind(value: object) -> None:
    raise Damaged(f"expected text and numbers, got {value!r:.60}")


def _where(phase: str | None, run: str | None) -> tuple[str, tuple[str, ...]]:
    wanted = [(name, value) for name, value in (("phase", phase), ("run", run)) if value is not None]
    return " AND ".join(f"{name} = ?" for name, _ in wanted) or "1", tuple(value for _, value in wanted)


def _dicts(db: sqlite3.Connection, query: str, values: tuple[object, ...]) -> Iterator[dict[str, Any]]:
    cursor = db.execute(query, values)
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)
