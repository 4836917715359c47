"""The questions of a run's folder as its page shows and counts them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.modes.record import PLANNED

Outcome = Literal["wrong", "right", "invalid", "unscored"]
FRESH = "fresh questions"
"""Who asked where a mode was to be confirmed."""
_VOTES = re.compile(r"\[(\d+ of \d+) votes agree\] ?")


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about a picture, and what became of it."""

    method: str
    """Who asked: a probe's method, a demo's arm, else the name of the run."""
    measuring: bool
    """Whether it was asked to measure, in an evaluation or to confirm a mode, and not to find failures."""
    step: int
    image: int
    """Number of the picture in its source."""
    key: str
    """Name of the picture."""
    text: str
    answer: str
    reason: str
    """The verifier's words."""
    votes: str
    """`2 of 3`, where the verifier voted several times."""
    valid: bool | None
    correct: bool | None
    """Whether its answer is right; None where it is not valid, or not judged."""
    why: str
    """Of what is unscored or holds no question, the cause as the ledger names it."""
    answerer: str
    judge: str
    skills: Sequence[str]
    modes: Sequence[str]
    """Ids of the failure modes that it belongs to."""
    rewards: Mapping[str, float | None]
    known: Mapping[str, Any]
    """What its source says of it."""

    @property
    def wrong(self) -> bool | None:
        """Whether its answer is wrong; None where it is not valid or not judged."""
        return None if self.correct is None else not self.correct

    @property
    def outcome(self) -> Outcome:
        """All of it in a word."""
        if self.valid is False:
            return "invalid"
        if self.correct is None:
            return "unscored"
        return "right" if self.correct else "wrong"


Skills = Mapping[tuple[str, str], Sequence[str]]
"""(name of a picture, question) -> its skills."""


@dataclass(frozen=True, kw_only=True)
class Besides:
    """What is known of questions from elsewhere."""

    skills: Skills | None
    """Of a taxonomy; None: those that the source of the questions names."""
    modes: Mapping[tuple[str, str], Sequence[str]]
    """(name of a picture, question) -> ids of its failure modes."""


NOTHING = Besides(skills=None, modes={})


def questions_of(
    ledger: Ledger, besides: Besides = NOTHING, names: Mapping[str, str] = MappingProxyType({})
) -> list[Question]:
    """All questions of a folder in the order in which they were recorded, without those about edited pictures and those
    that differ by a word from others, which a closer look at a mode asks.

    Args:
        ledger: of the folder.
        besides: what is known of them besides.
        names: run -> what it is called on the page.
    """
    runs = {run.id: run for run in ledger.runs()}
    kinds = {name: str(run.config.get("pass", "")).split("-")[0] for name, run in runs.items()}
    asking = {name: run for name, run in runs.items() if kinds[name] not in PLANNED[1:]}
    inside = {name for name in asking if any(name.startswith(f"{other}/") for other in runs)}
    who = {name: names.get(name) or _method(run, kinds[name], name in inside) for name, run in asking.items()}
    measuring = {name for name in inside if not name.rpartition("/")[2].startswith("round-")}
    rows = (row for row in ledger.each_row() if row["run"] in who)
    return [_question(row, who[row["run"]], row["run"] in measuring, besides) for row in rows]


def rounds_of(questions: Iterable[Question]) -> dict[str, list[Question]]:
    """The questions by who asked them, in the order in which these began."""
    found: dict[str, list[Question]] = {}
    for each in questions:
        found.setdefault(each.method, []).append(each)
    return found


def skills_in(path: Path, labels: Mapping[str, str]) -> dict[tuple[str, str], list[str]]:
    """(name of the picture, question) -> its skills, from the file that `vlmprobe taxonomy` writes beside its own.

    Args:
        path: of that file; one that is not there, or holds something else, says nothing.
        labels: id of a skill -> how it is called.
    """
    found = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for each in map(json.loads, lines):
            named = [labels[skill] for skill in each["skills"] if skill in labels]
            found[str(each["image"]), str(each["question"])] = named
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found


def _method(run: RunRecord, kind: str, inside: bool) -> str:
    """Who asked; a run within another one, such as an evaluation, is named after both, but for rounds."""
    if kind == PLANNED[0]:
        return FRESH
    if not inside:
        return str(run.config.get("method") or run.id)
    head, _, last = run.id.rpartition("/")
    return head if last.startswith("round-") else f"{head}, {last}"


def _question(row: Mapping[str, Any], method: str, measuring: bool, besides: Besides) -> Question:
    text, key, known = row["question"] or "", row["image_key"] or "", row["annotations"]
    reason, pair = row["reason"] or "", (key, text)
    votes = _VOTES.match(reason)
    valid, correct = row["valid"], row["correct"] if row["valid"] is True else None
    why = row["answer_failure"] or row["verdict_failure"] or ("not asked" if not row["asked"] else "")
    return Question(
        method=method,
        measuring=measuring,
        step=row["step"],
        image=row["image"],
        key=key,
        text=text,
        answer=row["answer"] or "",
        reason=reason[votes.end() :] if votes else reason,
        votes=votes[1] if votes else "",
        valid=valid,
        correct=correct,
        why=row["status"] if row["status"] != "ok" else why if valid is not False and correct is None else "",
        answerer=row["answerer"] or "",
        judge=row["judge"] or "",
        skills=_own_skills(known) if besides.skills is None else besides.skills.get(pair, ()),
        modes=besides.modes.get(pair, ()),
        rewards=row["rewards"],
        known=known,
    )


def _own_skills(known: Mapping[str, Any]) -> list[str]:
    said = known.get("skills")
    return [str(each) for each in said] if isinstance(said, list) else []
