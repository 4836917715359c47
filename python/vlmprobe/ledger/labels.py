"""What people say about questions, any number of annotators to each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from vlmprobe._util.json import encodable
from vlmprobe._util.visible import bare
from vlmprobe.ledger import rows
from vlmprobe.ledger.records import LabelRecord

_QUESTION = """
  SELECT question_id, questions.text FROM questions JOIN sequences USING (sequence_id) JOIN steps USING (step_id)
  JOIN runs USING (run_id) WHERE (runs.id, phase, step, sequence, slot) = (?, ?, ?, ?, ?)
"""
_LABELS = """
  SELECT runs.id, phase, step, sequence, slot, annotator, valid, correct, probability, criterion
  FROM labels JOIN questions USING (question_id) JOIN sequences USING (sequence_id) JOIN steps USING (step_id)
  JOIN runs USING (run_id) WHERE runs.id = ? ORDER BY question_id, annotator
"""


CRITERIA = ("grammatical", "atomic", "grounded", "objective")


def add(db: sqlite3.Connection, labels: Iterable[LabelRecord], *, replace: bool) -> int:
    """Adds the labels; the number of new ones. One that is there already must say the same, unless it is replaced."""
    new = 0
    for label in labels:
        row = _row(db, label)
        known = db.execute("SELECT * FROM labels WHERE (question_id, annotator) = (?, ?)", row[:2]).fetchone()
        if known is None:
            db.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?)", row)
            new += 1
        elif replace:
            db.execute("REPLACE INTO labels VALUES (?, ?, ?, ?, ?, ?)", row)
        elif known != row:
            raise ValueError(f"[Ledger.add_labels] {_where(label)}: expected {known[2:]} as labelled, got {row[2:]}")
    return new


def find(db: sqlite3.Connection, run: str) -> list[LabelRecord]:
    """A run's labels, in the order of its questions."""
    found = db.execute(_LABELS, (run,))
    return [
        LabelRecord(
            run=run, phase=phase, step=step, sequence=sequence, slot=slot, annotator=annotator,
            valid=_truth(valid), correct=_truth(correct), probability=probability, criterion=criterion,
        )
        for run, phase, step, sequence, slot, annotator, valid, correct, probability, criterion in found
    ]  # fmt: skip


def _row(db: sqlite3.Connection, label: LabelRecord) -> rows.Row:
    where = _where(label)
    place = (encodable(label.run), encodable(label.phase), label.step, label.sequence, label.slot)
    found = db.execute(_QUESTION, place).fetchone()
    if found is None:
        raise ValueError(f"[Ledger.add_labels] {where}: expected a question of the ledger, got none there")
    question_id, text = found
    if label.question is not None and bare(label.question) != bare(text):
        raise ValueError(f"[Ledger.add_labels] {where}: question: expected {text!r:.80}, got {label.question!r:.80}")
    if not label.annotator:
        raise ValueError(f"[Ledger.add_labels] {where}: annotator: expected a name, got none")
    if label.probability is not None and not 0 < label.probability <= 1:
        raise ValueError(f"[Ledger.add_labels] {where}: probability: expected (0, 1], got {label.probability}")
    if label.criterion is not None and (label.criterion not in CRITERIA or label.valid is not False):
        expected = f"one of {', '.join(CRITERIA)} beside an invalid question"
        raise ValueError(f"[Ledger.add_labels] {where}: criterion: expected {expected}, got {label.criterion!r:.60}")
    truths = [rows.truth(f"{where}.{name}", getattr(label, name)) for name in ("valid", "correct")]
    return (question_id, rows.text(f"{where}.annotator", label.annotator), *truths, label.probability, label.criterion)


def _truth(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _where(label: LabelRecord) -> str:
    return f"{label.run!r}, {label.phase!r}, step {label.step}, question [{label.sequence}, {label.slot}]"
