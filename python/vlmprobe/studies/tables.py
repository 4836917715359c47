"""Tables 1 to 5 in the paper's shape, each value with its interval and the paper's own number beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from vlmprobe.metrics import Estimate
from vlmprobe.studies.numbers import GROWING, SHARES, Outcome, over_seeds
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
"""k -> the paper's row."""
TABLE_4 = {1: "RL L=1", 2: "RL", 3: "RL L=3", 4: "RL L=4"}
"""L -> the paper's row."""


def tables(outcomes: Outcomes, *, only: Sequence[int], world: bool) -> list[dict[str, Any]]:
    """Some of the paper's tables; rows of arms that are not there are left out."""
    more = WORLD if world else []
    rows_5 = [
        (arm_of(method, asking, answering), [asking, method, answering])
        for asking in QUESTIONERS
        for method in TRAINED
        for answering in ANSWERERS
    ]
    first = [*COLUMNS, COVERAGE, *more]
    found = [
        _table(1, "methods", ["method"], [(name, [name]) for name in TABLE_1], first, outcomes),
        _table(
            2, "reward terms", ["semantic", "lexical", "penalty"],
            [(name, list(ticks)) for name, ticks in TABLE_2.items()], COLUMNS + more, outcomes,
        ),
        _table(3, "questions per image", ["k"], _by(3, "k", outcomes), [*COLUMNS, ONCE, *more], outcomes, TABLE_3),
        _table(4, "prefix length", ["L"], _by(4, "prefix_length", outcomes), COLUMNS + more, outcomes, TABLE_4),
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
    names: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Rows of the arms that are there; `names`: of the paper's rows, by the label."""
    known = {name: printed(row) for name, row in published()[f"table-{number}"].items()}
    if names is not None:
        of_label = {str(label): name for label, name in names.items()}
        known = {name: known.get(of_label.get(label[0], ""), {}) for name, label in rows}
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


def _by(number: int, field: str, outcomes: Outcomes) -> list[tuple[str, list[str]]]:
    """The arms of a table that vary one of their fields, by its value."""
    arms = [seeds[0].arm for seeds in outcomes.values() if number in seeds[0].arm.tables]
    return [(arm.name, [str(getattr(arm, field))]) for arm in sorted(arms, key=lambda arm: getattr(arm, field))]


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
    return over_seeds(each, most=1.0 if key in SHARES else math.inf, growing=key in GROWING)


def notes(scale: Scale) -> list[str]:
    """What holds for all of them."""
    judge = "the evaluator" if scale.judge_pool else "the verifier of the training"
    return [
        "Tables 1 to 5 are of evaluation passes: nothing is trained, pictures in the same order for all, each asked "
        f"about at least once, until {scale.n} answers were had; judged by the evaluator, which is another model than "
        "the verifier that training saw.",
        f"SD, LD, skills, failing programs and faults found at {scale.equal_n} valid questions (n says where there "
        "were fewer, in any seed). Faults are so few that pictures give their number no fair interval: with one seed "
        "it has none, else one over seeds.",
        "LD is the entropy of the first two words over log n: the likely meaning of the paper's numbers, which have no "
        "unit.",
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
