"""The lines of metrics.jsonl: written from a step's report, and from the ledger where the file is damaged."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import torch

from vlmprobe._json import check_fields, parse, plain, typed
from vlmprobe.examine import failures_of
from vlmprobe.ledger.records import StepRecord
from vlmprobe.step_report import StepReport

_LONGEST = 1 << 20  # bytes of a line
_TRAINED = ("loss", "kl", "entropy", "clip_fraction", "grad_norm")


def step_line(stage: str, report: StepReport) -> str:
    """A step's line; a number that is not finite is null."""
    terms = dict(sorted(report.terms.items()))
    return json.dumps(plain({"stage": stage, **vars(report), "terms": terms}), allow_nan=False) + "\n"


def recorded_report(record: StepRecord) -> StepReport:
    """The numbers of a step as the ledger has it: those that `step_report` gave when the step was made, bit for bit."""
    verdicts = [question.verdict for question in record.questions]
    answers = [question.answer for question in record.questions]
    valid = [verdict for verdict in verdicts if verdict is not None and verdict.valid]
    rewards = [question.rewards for question in record.questions]
    asking = int(record.numbers.get("asking_calls") or 0)
    return StepReport(
        step=record.step,
        questions=len(record.questions),
        valid=len(valid),
        wrong=sum(verdict.correct is False for verdict in valid),
        unscored=int(_known([terms.get("total") for terms in rewards]).isnan().sum()),
        calls=sum(answer is not None for answer in answers) + asking,
        reward=_mean([sequence.reward for sequence in record.sequences]),
        terms={
            term: _mean([terms.get(term) for terms in rewards])
            for term in sorted({term for terms in rewards for term in terms} - {"total"})
        },
        tokens=sum(sequence.tokens for sequence in record.sequences),
        posed=sum(verdict is not None for verdict in verdicts),
        asked=sum(answer is not None for answer in answers),
        failures=failures_of(verdicts, answers),
        **_numbers(record.numbers),
    )


def split_lines(path: Path, stage: str) -> tuple[list[str], dict[int, str]]:
    """The lines of other stages, and those of a stage by their steps. What is no line of numbers is left out: cut by a
    kill, damaged, another program's."""
    others, mine = [], {}
    with path.open("rb") as file:
        for content in iter(lambda: file.readline(_LONGEST), b""):
            with suppress(ValueError):
                line = content.decode()
                known = _checked(path.name, line)
                if known["stage"] == stage:
                    mine[known["step"]] = line
                else:
                    others.append(line)
    return others, mine


def _checked(where: str, line: str) -> dict[str, Any]:
    """Raises ValueError for what `step_line` does not write."""
    known: dict[str, Any] = typed("metrics", where, parse("metrics", where, line), dict)
    needed = {"stage", *(field.name for field in fields(StepReport) if field.default is MISSING)}
    if not line.endswith("\n") or needed - known.keys():
        raise ValueError(f"[metrics] {where}: expected a whole line")
    typed("metrics", where, known["stage"], str)
    unknown = {"reward", *_TRAINED}  # null where they are not numbers
    check_fields("metrics", where, StepReport, {k: v for k, v in known.items() if v is not None or k not in unknown})
    return known


def _numbers(numbers: Mapping[str, float | None]) -> dict[str, Any]:
    """The fields that a step keeps among its numbers; NaN where it was not trained on."""
    names = {field.name for field in fields(StepReport)}
    found = dict.fromkeys(_TRAINED) | {name: value for name, value in numbers.items() if name in names}
    return {name: math.nan if value is None else value for name, value in found.items()}


def _mean(values: Sequence[float | None]) -> float:
    return float(_known(values).nanmean())


def _known(values: Sequence[float | None]) -> torch.Tensor:
    return torch.tensor([math.nan if value is None else value for value in values], dtype=torch.float64)
