"""What a report says of a run besides its questions: who judged, who judged again, and what its updates did."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe.ledger.reading import json_object
from vlmprobe.ledger.records import JudgeRecord


@dataclass(frozen=True, kw_only=True)
class About:
    """Of one run; models and pictures are those of the whole file."""

    judges: Sequence[JudgeRecord]
    """In the order in which they were first named."""
    again: Sequence[str]
    """Judgings that hold another verifier's verdicts on the run, in the order in which they were begun."""
    pictures: Mapping[str, str]
    """Name of a picture -> hash of its pixels, of the whole file."""
    numbers: Sequence[tuple[int, Mapping[str, Any]]]
    """(step, what its update did) of the steps for which something is written down, in order."""


def about(db: sqlite3.Connection, run: str) -> About:
    """Reads it."""
    judges = "SELECT role, identity, revision, prompt_sha256, sampling FROM judges ORDER BY judge_id"
    again = "SELECT name FROM judgings JOIN runs USING (run_id) WHERE id = ? AND reward IS NULL ORDER BY judging_id"
    numbers = (
        "SELECT step, numbers FROM steps JOIN runs USING (run_id) WHERE id = ? AND numbers <> '{}' ORDER BY step_id"
    )
    return About(
        judges=[
            JudgeRecord(role=role, identity=name, revision=revision, prompt_sha256=prompt, sampling=json_object(drawn))
            for role, name, revision, prompt, drawn in db.execute(judges)
        ],
        again=[name for (name,) in db.execute(again, (run,))],
        pictures=dict(db.execute("SELECT key, sha256 FROM images")),
        numbers=[(step, json_object(known)) for step, known in db.execute(numbers, (run,))],
    )
