"""The lines of metrics.jsonl: written from a step's report, and from the ledger where the file is damaged."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from vlmprobe._util.json import check_fields, parse, plain, typed
from vlmprobe.ledger.records import StepRecord
from vlmprobe.loop.record import DEGENERATE, recorded_round
from vlmprobe.loop.report import StepReport, step_report

_LONGEST = 1 << 20  # bytes of a line
_TRAINED = ("loss", "kl", "entropy", "clip_fraction", "grad_norm", "changed")


def step_line(stage: str, report: StepReport) -> str:
    """A step's line; a number that is not finite is null."""
    terms = dict(sorted(report.terms.items()))
    return json.dumps(plain({"stage": stage, **vars(report), "terms": terms}), allow_nan=False) + "\n"


def recorded_report(record: StepRecord) -> StepReport:
    """The numbers of a step as the ledger has it: those that `step_report` gave when the step was made, bit for bit."""
    trained = {name: _or_nan(record.numbers.get(name)) for name in _TRAINED}
    return step_report(recorded_round(record), {**trained, DEGENERATE: int(record.numbers.get(DEGENERATE) or 0)})


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
    unknown = {"reward", "reward_std", *_TRAINED}  # null where they are not numbers
    check_fields("metrics", where, StepReport, {k: v for k, v in known.items() if v is not None or k not in unknown})
    return known


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
