"""The results of a demo: evaluations before and after training, whole runs, and curves over the steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlmprobe._util.json import member, typed
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.results.reading import read

STAGES = ("reached", "triggered", "detected")
"""How far a question can get with a planted fault."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A planted fault, and the numbers of questions that got so far with it."""

    mass: float | None = None
    """Share of uniformly drawn valid questions that meet its condition."""
    when: Mapping[str, object] = field(default_factory=dict)
    """Feature -> a value, a list of values, or `min` and `max`."""
    effect: str = ""
    description: str = ""
    """Instead of condition and effect."""
    reached: float | None = None
    triggered: float | None = None
    detected: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The numbers of one evaluation or of one whole run."""

    n_questions: float | None = None
    n_valid: float | None = None
    n_unscored: float | None = None
    qvr: float | None = None
    qvr_interval: Sequence[float | None] = (None, None)
    fdr: float | None = None
    fdr_interval: Sequence[float | None] = (None, None)
    distinct_failures: float | None = None
    effective_failure_families: float | None = None
    effective_families: float | None = None
    vendi: float | None = None
    prefix_entropy_normalized: float | None = None
    duplicates: float | None = None
    """Share of the valid questions that repeat another word for word."""
    answerer_calls: float | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)
    """Id -> a planted fault."""

    def __post_init__(self) -> None:
        for name in ("qvr_interval", "fdr_interval"):
            if len(getattr(self, name)) != 2:
                raise ValueError(f"[report] {name}: expected two ends, got {len(getattr(self, name))}")

    @property
    def validity(self) -> Estimate:
        """QVR, of all questions."""
        low, high = self.qvr_interval
        return Estimate(value=self.qvr, low=low, high=high, n=self.n_questions)

    @property
    def failure(self) -> Estimate:
        """FDR, of the valid questions."""
        low, high = self.fdr_interval
        return Estimate(value=self.fdr, low=low, high=high, n=self.n_valid)

    def faults_at(self, stage: str) -> int | None:
        """How many of the planted faults got as far as the stage; None without planted faults."""
        return sum((getattr(fault, stage) or 0) > 0 for fault in self.faults.values()) if self.faults else None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a demo found."""

    before: Evaluation | None = None
    """The questioner before training, on held-out images."""
    after: Evaluation | None = None
    """After training, on the same images."""
    arms: Mapping[str, Evaluation] = field(default_factory=dict)
    """Name -> a whole run, training included, at equal answerer calls."""
    seconds: float | None = None
    seed: int | None = None
    steps: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Numbers over S training steps."""

    steps: Sequence[int] = ()
    """[S]"""
    lines: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Key -> [S]; NaN where it is not known."""


NO_CURVES = Curves()


def read_summary(content: Mapping[str, Any]) -> Summary:
    """The results that `summary.json` holds.

    Raises:
        ValueError: none of `before`, `after` and `arms` is there, or a part is of another shape; names it.
    """
    found = read(Summary, content, "summary")
    if found.before is None and found.after is None and not found.arms:
        raise ValueError("[report] summary: expected at least one of before, after and arms, got none")
    return found


def read_curves(rows: Sequence[Mapping[str, Any]]) -> Curves:
    """Curves of one mapping per training step with `step` and numbers; None, NaN and absent ones are gaps.

    Raises:
        ValueError: a row without `step`, or a value that is no number.
    """
    steps: list[int] = []
    lines: dict[str, list[float]] = {}
    for index, row in enumerate(rows):
        where = f"curves[{index}]"
        steps.append(member("report", where, typed("report", where, row, dict), "step", int))
        for key in dict.fromkeys([*lines, *row]):
            value = row.get(key)
            line = lines.setdefault(key, [math.nan] * index)
            line.append(math.nan if value is None else typed("report", f"{where}: {key}", value, float))
    lines.pop("step", None)
    return Curves(steps=steps, lines=lines)
