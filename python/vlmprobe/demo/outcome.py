"""What a demo found, read from its ledger alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from statistics import fmean
from typing import Any

from vlmprobe._json import check_fields
from vlmprobe._native import core
from vlmprobe.demo.experiment import PAPER, ZERO_SHOT, Settings, reward_name, training
from vlmprobe.evaluation import Tally, recorded_tally, summarise
from vlmprobe.ledger import Ledger, QuestionRecord, RunRecord, StepRecord
from vlmprobe.models.protocols import Embedder
from vlmprobe.world.discovery import MASS_QUESTIONS, discovery, effective_families

WINDOW = 10  # steps that the curves' effective families are taken over


@dataclass
class Outcome:
    """The numbers and rows of a finished demo.

    Args:
        ledger: of the demo.
        embedder: of the demo, for equal numbers; see `head`.

    Raises:
        ValueError: the ledger of something else, or of a demo that did not end.
    """

    ledger: Ledger
    embedder: Embedder
    found: Tally = field(init=False)
    """The questions of the evaluation after training."""

    def __post_init__(self) -> None:
        self.run = head(self.ledger)
        self.settings = settings_of(self.run)
        planted = self.run.config["faults"]
        self.faults = None if planted is None else core.world.FaultSet.parse(planted, 0)
        self.masses = self.faults.masses(MASS_QUESTIONS, seed=1) if self.faults is not None else []
        self.found = self.evaluated("after")

    def summary(self) -> dict[str, Any]:
        """`before`, `after`, `arms`, and what was run by whom."""
        wanted = reward_name(self.settings.reward)
        tallies = {name: recorded_tally(self.ledger, training(name)) for name in (wanted, PAPER)}
        budget = min(tally.calls for tally in tallies.values())
        arms = {ZERO_SHOT: recorded_tally(self.ledger, ZERO_SHOT).first(budget)} if budget else {}
        arms |= {name: tally.first(budget) for name, tally in sorted(tallies.items())}
        return {
            "before": self.numbers(self.evaluated("before")),
            "after": self.numbers(self.found),
            "arms": {name: self.numbers(tally) for name, tally in arms.items()},
            "seconds": seconds(self.ledger),
            "seed": self.settings.seed,
            "steps": self.settings.steps,
            "reward": self.settings.reward,
            "answerer": self.run.identities["answerer"],
            "embedder": self.embedder.identity,
            "versions": dict(self.run.versions),
        }

    def curves(self) -> list[dict[str, Any]]:
        """A row per step of the training that was asked for."""
        run = training(self.settings.reward)
        steps = [self.ledger.step(run, phase, number) for phase, number in self.ledger.recorded_steps(run)]
        return list(curves([step for step in steps if step is not None]))

    def evaluated(self, phase: str) -> Tally:
        """An evaluation's questions, up to the last answer that was to be had."""
        return recorded_tally(self.ledger, phase).first(self.settings.calls)

    def numbers(self, tally: Tally) -> dict[str, Any]:
        """The paper's numbers and the world's."""
        return summarise(tally, self.embedder) | discovery(tally, self.faults, self.masses)


def head(ledger: Ledger) -> RunRecord:
    """The demo's settings, versions and models, as its last evaluation has them.

    Raises:
        ValueError: the ledger of something else, or of a demo that did not end.
    """
    runs = {run.id: run for run in ledger.runs()}
    if not {"before", "after"} <= runs.keys() or not all(run.finished for run in ledger.progress()):
        raise ValueError(
            f"[demo] {ledger.path}: expected the ledger of a finished demo, got {', '.join(runs) or 'an empty one'}"
        )
    return runs["after"]


def settings_of(run: RunRecord) -> Settings:
    """The demo's settings; planted faults are in the run's config as they were read."""
    names = {field.name for field in fields(Settings)} - {"faults"}
    check_fields("demo", f"run {run.id!r}: config", Settings, run.config)
    return Settings(**{name: value for name, value in run.config.items() if name in names})


def seconds(ledger: Ledger) -> float:
    """From the first beginning to the last end."""
    times = ledger.times()
    began, ended = (min(begin for begin, _ in times), max(end for _, end in times if end is not None))
    return round((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds(), 1)


def curves(steps: Sequence[StepRecord]) -> Iterator[dict[str, Any]]:
    """Per step: rates, reward, novelty, KL, and effective families over the last steps."""
    tallies = [Tally() for _ in steps]
    for tally, step in zip(tallies, steps, strict=True):
        tally.add(step)
    for i, (step, tally) in enumerate(zip(steps, tallies, strict=True)):
        recent = Tally(rows=[row for each in tallies[max(0, i + 1 - WINDOW) : i + 1] for row in each.rows])
        valid = len(tally.valid())
        yield {
            "step": step.step,
            "fdr": len(tally.failures()) / valid if valid else math.nan,
            "qvr": valid / len(tally.rows),
            "reward": _mean([sequence.reward for sequence in step.sequences]),
            **{term: _mean(_term(step.questions, term)) for term in ("semantic", "lexical")},
            "effective_families": effective_families([q for _, q in recent.valid()]),
            "effective_failure_families": effective_families([q for _, q in recent.failures()]),
            "kl": step.numbers.get("kl"),
        }


def _term(questions: Sequence[QuestionRecord], term: str) -> list[float | None]:
    return [question.rewards.get(term) for question in questions]


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None and not math.isnan(value)]
    return fmean(known) if known else math.nan
