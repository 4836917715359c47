"""Steps, runs and files of a ledger, made by hand."""

import dataclasses
import sqlite3
from pathlib import Path

from vlmprobe.ledger import (
    AnswerRecord,
    ImageRecord,
    QuestionRecord,
    RunRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
)
from vlmprobe.models import Criteria, Failure, Judgement, Reply, Verdict

MIGRATIONS = Path(__file__).parents[3] / "python/vlmprobe/ledger/migrations"
RUN = RunRecord(id="demo", config={"seed": 7}, versions={"torch": "2.13"}, identities={"answerer": "tiny@1"})
FINE = Criteria(grammatical=True, atomic=True, grounded=True, objective=True)


def verdict(correct=None, **criteria):
    judged = dataclasses.replace(FINE, **criteria) if criteria else FINE
    judgement = None if correct is None else Judgement(correct=correct, reason=f"said {correct}")
    return VerdictRecord.of(Verdict.join(judged, judgement), judge="oracle@1")


def question(sequence, slot, **fields):
    defaults = {"status": "ok", "text": f"how many {sequence}", "prefix": "how many"}
    return QuestionRecord(sequence=sequence, slot=slot, **{**defaults, **fields})


def answered(text="two"):
    return AnswerRecord.of(Reply(text=text), answerer="tiny@1")


def make_step(step=0, phase="train", **fields):
    """Two sequences of two slots: a failure, a right answer; a missing slot, one that the verifier did not judge."""
    defaults = {
        "images": [ImageRecord(id=5, key="scene-5", sha256="ab")],
        "sequences": [
            SequenceRecord(sequence=0, image=5, group=0, text="<response_1>...", tokens=9, reward=0.5, advantage=1.0),
            SequenceRecord(sequence=1, image=5, group=0, text="", tokens=1, reward=float("nan"), advantage=0.0),
        ],
        "questions": [
            question(
                0,
                0,
                verdict=verdict(False),
                answer=answered(),
                rewards={"total": 0.75, "semantic": 1.0, "lexical": 0.5},
                annotations={"family": "count", "faults": ["c1"], "truth": "3"},
            ),
            question(0, 1, verdict=verdict(True), answer=answered(), rewards={"total": 0.0}),
            question(1, 0, status="missing", text="", prefix="", rewards={"total": -1.0}),
            question(
                1,
                1,
                verdict=VerdictRecord.of(Verdict.join(Criteria(failure=Failure.TIMEOUT)), judge="oracle@1"),
                rewards={"total": float("nan")},
            ),
        ],
    }
    return StepRecord(run="demo", phase=phase, step=step, **{**defaults, **fields})


def first_schema(path: Path) -> None:
    """A file as the first version wrote it: two questions, one answered and judged wrong, one judged by another."""
    with sqlite3.connect(path) as db:
        db.executescript((MIGRATIONS / "1.sql").read_text())
        db.executescript("""
          PRAGMA application_id = 1986817392; PRAGMA user_version = 1;
          INSERT INTO runs VALUES (1, 'old', '{}', '{}', '{}', 'then', NULL);
          INSERT INTO images VALUES (1, 1, 5, 'scene-5', 'ab');
          INSERT INTO steps VALUES (1, 1, 'train', 0, 'then');
          INSERT INTO sequences VALUES (1, 1, 0, 1, 0, 'said', 3, 0.5, 1.0);
          INSERT INTO questions VALUES (1, 1, 0, 'ok', 'how many', 'how many');
          INSERT INTO questions VALUES (2, 1, 1, 'ok', 'why', 'why');
          INSERT INTO verdicts VALUES (1, 1, 1, 1, 1, 0, 'no', NULL, 'judge@1');
          INSERT INTO verdicts VALUES (2, 1, 0, 1, 1, NULL, 'two', NULL, 'judge@2');
          INSERT INTO answers VALUES (1, 'two', NULL, 'tiny@1');
          INSERT INTO rewards VALUES (1, 'total', 0.75);
          INSERT INTO annotations VALUES (1, 'family', '"count"');
        """)
