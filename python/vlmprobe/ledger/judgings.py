"""A run seen again: another verifier's verdicts or another reward, beside the first."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace

from vlmprobe._util.visible import is_blank
from vlmprobe.ledger import rows
from vlmprobe.ledger.reading import IN_STEP, rewards_by_question, step_id, verdicts_by_question
from vlmprobe.ledger.records import StepRecord

_VERDICTS = f"""
  SELECT question_id, grammatical, atomic, grounded, objective, correct, reason, failure, identity AS judge
  FROM judging_verdicts JOIN judges USING (judge_id) WHERE judging_id = ? AND {IN_STEP}
"""
_REWARDS = f"SELECT question_id, term, value FROM judging_rewards WHERE judging_id = ? AND {IN_STEP}"
_TOTALS = """
  SELECT sequence, judging_sequences.reward FROM judging_sequences JOIN sequences USING (sequence_id)
  WHERE judging_id = ? AND step_id = ?
"""


@dataclass(frozen=True)
class _Judging:
    id: int
    base: str | None
    reward: str | None


def begin(db: sqlite3.Connection, run_id: int, name: str, base: str | None, reward: str | None, now: str) -> None:
    """Adds the judging; the same one again is fine."""
    if is_blank(name) or name != rows.text("judging.name", name):
        raise ValueError(f"[Ledger.begin_judging] name: expected letters in UTF-8, got {name!r:.60}")
    if base is not None and _find(db, run_id, base).reward is not None:
        raise ValueError(f"[Ledger.begin_judging] base: expected another verifier's verdicts, got the reward {base!r}")
    values = (run_id, name, base, reward, now)
    db.execute(
        "INSERT OR IGNORE INTO judgings (run_id, name, base, reward, created_time) VALUES (?, ?, ?, ?, ?)", values
    )
    known = _find(db, run_id, name)
    if (known.base, known.reward) != (base, reward):
        raise ValueError(
            f"[Ledger.begin_judging] judging {name!r} is another: expected base {known.base!r}, reward "
            f"{known.reward!r}, got {base!r}, {reward!r}"
        )


def record(
    db: sqlite3.Connection, run: str, run_id: int, name: str, step: StepRecord, judges: Mapping[tuple[str, str], int]
) -> None:
    """Adds the verdicts, or the rewards, of a step."""
    judging = _find(db, run_id, name)
    questions, sequences = _places(db, _step_id(db, run, step))
    for question in step.questions:
        question_id = questions[question.sequence, question.slot]
        if judging.reward is not None:
            values = [(judging.id, *row) for row in rows.reward_rows(question_id, question)]
            db.executemany("INSERT OR IGNORE INTO judging_rewards VALUES (?, ?, ?, ?)", values)
        elif question.verdict is not None:
            row = (judging.id, *rows.verdict_row(question_id, question, judges))
            db.execute(f"INSERT OR IGNORE INTO judging_verdicts VALUES ({', '.join('?' * len(row))})", row)
    if judging.reward is not None:
        values = [
            (judging.id, sequences[s.sequence], rows.number("sequences.reward", s.reward)) for s in step.sequences
        ]
        db.executemany("INSERT OR IGNORE INTO judging_sequences VALUES (?, ?, ?)", values)


def seen(db: sqlite3.Connection, run: str, run_id: int, name: str, step: StepRecord) -> StepRecord:
    """The step with the verdicts and rewards of the judging; the advantages belonged to the first rewards."""
    judging, step_id = _find(db, run_id, name), _step_id(db, run, step)
    questions, _ = _places(db, step_id)
    source = judging if judging.reward is None else _find(db, run_id, judging.base) if judging.base else None
    verdicts = {} if source is None else verdicts_by_question(db, _VERDICTS, (source.id, step_id))
    rewards = rewards_by_question(db, _REWARDS, (judging.id, step_id))
    totals = dict(db.execute(_TOTALS, (judging.id, step_id)).fetchall())
    return replace(
        step,
        sequences=[replace(s, reward=totals.get(s.sequence), advantage=None) for s in step.sequences],
        questions=[
            replace(
                question,
                verdict=question.verdict if source is None else verdicts.get(question_id),
                rewards=rewards.get(question_id, {}),
            )
            for question in step.questions
            for question_id in (questions[question.sequence, question.slot],)
        ],
    )


def _find(db: sqlite3.Connection, run_id: int, name: str) -> _Judging:
    query = "SELECT judging_id, base, reward FROM judgings WHERE run_id = ? AND name = ?"
    found = db.execute(query, (run_id, name)).fetchone()
    if found is None:
        names = [known for (known,) in db.execute("SELECT name FROM judgings WHERE run_id = ?", (run_id,))]
        raise ValueError(f"[Ledger] judging: expected one of {', '.join(names) or 'none'}, got {name!r}")
    return _Judging(*found)


def _step_id(db: sqlite3.Connection, run: str, step: StepRecord) -> int:
    found = step_id(db, run, step.phase, step.step)
    if found is None:
        raise ValueError(f"[Ledger] step {step.step} of {step.phase!r} of run {run!r} was not recorded")
    return found


def _places(db: sqlite3.Connection, step_id: int) -> tuple[dict[tuple[int, int], int], dict[int, int]]:
    """(sequence, slot) -> question_id, and sequence -> sequence_id."""
    query = """
      SELECT sequence, slot, question_id FROM questions JOIN sequences USING (sequence_id) WHERE step_id = ?
    """
    questions = {(sequence, slot): question_id for sequence, slot, question_id in db.execute(query, (step_id,))}
    return questions, dict(db.execute("SELECT sequence, sequence_id FROM sequences WHERE step_id = ?", (step_id,)))
