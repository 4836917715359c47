"""Tables 1 to 5 in the paper's shape, each value with its interval and the paper's own number beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from vlmprobe.metrics import Estimate
from vlmprobe.studies.numbers import SHARES, Outcome, over_seeds
from vlmprobe.studies.plan import ANSWERERS, CONTROLS, QUESTIONERS, TRAINED, Scale, arm_of
from vlmprobe.studies.values import plain_estimate

Outcomes = Mapping[str, Sequence[Outcome]]
"""Name of an arm -> its outcome with each seed."""

COLUMNS: list[dict[str, Any]] = [
    {"key": "qvr", "title": "QVR %", "percent": True, "digits": 1},
    {"key": "fdr", "title": "FDR %", "percent": True, "digits": 1},
    {"key": "sd", "title": "SD", "digits": 1},
    {"key": "ld", "title": "LD", "digits": 2},
    {"key": "ld_nats", "title": "LD, nats", "digits": 2},
    {"key": "skills", "title": "skills", "digits": 0},
]
ONCE = {"key": "skills_once", "title": "skills, k questions a picture", "digits": 0}
COVERAGE = {"key": "coverage", "title": "skill cov.", "digits": 2}
WORLD: list[dict[str, Any]] = [
    {"key": "programs", "title": "failing programs", "digits": 0},
    {"key": "faults", "title": "planted faults found", "digits": 0},
]
"""What only a world whose truth is known can count."""

SIX = ("zero-shot", "SFT", "Expert Iteration", "ConMe", "RL", "RL+SFT")
"""The paper's methods."""
TABLE_1 = (*SIX, *CONTROLS)
TABLE_2 = {
    "RL no penalty": ("yes", "yes", "no"),
    "RL penalty": ("no", "no", "yes"),
    "RL no lexical": ("yes", "no", "yes"),
    "RL": ("yes", "yes", "yes"),
}
TABLE_3 = {1: "RL k=1", 2: "RL", 4: "RL k=4"}
TABLE_4 = {1: "RL L=1", 2: "RL", 3: "RL L=3", 4: "RL L=4"}


def tables(outcomes: Outcomes, *, only: Sequence[int], world: bool) -> list[dict[str, Any]]:
    """Some of the paper's tables; rows of arms that are not there are left out."""
    more = WORLD if world else []
    rows_5 = [
        (arm_of(method, asking, answering), [asking, method, answering])
        for asking in QUESTIONERS
        for method in TRAINED
        for answering in ANSWERERS
    ]
    found = [
        _table(1, "methods", ["method"], [(name, [name]) for name in TABLE_1], [*COLUMNS, COVERAGE, *more], outcomes),
        _table(
            2, "reward terms", ["semantic", "lexical", "penalty"],
            [(name, list(ticks)) for name, ticks in TABLE_2.items()], COLUMNS + more, outcomes,
        ),
        _table(
            3, "questions per image", ["k"],
            [(n, [str(k)]) for k, n in TABLE_3.items()], [*COLUMNS, ONCE, *more], outcomes,
        ),
        _table(4, "prefix length", ["L"], [(n, [str(k)]) for k, n in TABLE_4.items()], COLUMNS + more, outcomes),
        _table(5, "across models", ["questioner", "method", "answerer"], rows_5, COLUMNS + more, outcomes),
    ]  # fmt: skip
    kept = [found[number - 1] for number in only]
    return [table for table in kept if table["rows"]]


def _table(
    number: int,
    title: str,
    labels: list[str],
    rows: Sequence[tuple[str, list[str]]],
    columns: list[dict[str, Any]],
    outcomes: Outcomes,
) -> dict[str, Any]:
    known = {name: printed(row) for name, row in published()[f"table-{number}"].items()}
    return {
        "id": f"table-{number}",
        "title": f"Table {number}: {title}",
        "labels": labels,
        "columns": columns,
        "notes": unscored([(label, outcomes[name]) for name, label in rows if name in outcomes]),
        "rows": [
            {"labels": label, "ours": numbers(outcomes[name], columns), "paper": known.get(name, {})}
            for name, label in rows
            if name in outcomes
        ],
    }


PRINTED = {"skills_once": "skills"}
"""Our column -> the paper's, where it has another name."""


def printed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The paper's numbers of an arm by our columns; its numbers of skills are those of k questions a picture."""
    return dict(row) | {ours: row[theirs] for ours, theirs in PRINTED.items() if theirs in row}


def unscored(rows: Sequence[tuple[list[str], Sequence[Outcome]]]) -> list[str]:
    """A sentence with the questions that enter no rate, row by row; none where there are none."""
    counts = [
        (", ".join(label), *(sum(one.numbers[key].n_unscored for one in seeds) for key in ("qvr", "fdr")))
        for label, seeds in rows
    ]
    if not any(qvr or fdr for _, qvr, fdr in counts):
        return []
    said = "; ".join(f"{label}: {qvr} and {fdr}" for label, qvr, fdr in counts)
    return [f"Unscored, of QVR and of FDR (what only the evaluator holds valid was not answered): {said}."]


def numbers(outcomes: Sequence[Outcome], columns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An arm's row: each column over its seeds."""
    keys = [column["key"] for column in columns]
    return {key: plain_estimate(joined(key, [outcome.numbers[key] for outcome in outcomes])) for key in keys}


def joined(key: str, each: Sequence[Estimate]) -> Estimate:
    """A column's numbers of several seeds."""
    return over_seeds(each, most=1.0 if key in SHARES else math.inf)


def notes(scale: Scale) -> list[str]:
    """What holds for all of them."""
    judge = "the evaluator" if scale.judge_pool else "the verifier of the training"
    return [
        "Tables 1 to 5 are of evaluation passes: nothing is trained, pictures in the same order for all, each asked "
        f"about at least once, until {scale.n} answers were had; judged by the evaluator, which is another model than "
        "the verifier that training saw.",
        f"SD, LD, skills, failing programs and faults found at {scale.equal_n} valid questions (n says where there "
        "were fewer). LD is the entropy of the first two words over log n: the likely meaning of the paper's numbers, "
        "which have no unit.",
        f"A skill counts with more than {scale.above} questions. The paper's numbers of skills are not at equal n: its "
        "table 3 has k questions for each of 1000 pictures, as the last column of skills there has for each of ours.",
        "The ticks of table 2 are as the paper's text implies; they are lost in our copy.",
        f"The training pool (figures 6, 7, the curve and its claim, skills and pairs of skills) is judged by {judge}.",
    ]


@cache
def published() -> dict[str, Any]:
    """The paper's own numbers, as printed; what is not there was not published."""
    text = (resources.files("vlmprobe.studies") / "paper.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content
