"""What a demo found, read from its ledger alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any

from vlmprobe._native import core
from vlmprobe._util.json import check_fields, member, typed
from vlmprobe.ledger import JudgedQuestions, Ledger, RunRecord
from vlmprobe.loop.tally import Tally
from vlmprobe.metrics import effective_number_counted
from vlmprobe.models.protocols import Embedder
from vlmprobe.studies.demo.experiment import PAPER, ZERO_SHOT, Settings, reward_name, training
from vlmprobe.world.discovery import MASS_QUESTIONS, Discovery, text_of

WINDOW = 10  # steps that the curves' effective families are taken over


class Outcome:
    """The numbers and rows of a finished demo, read from its ledger part by part.

    Args:
        ledger: of the demo.
        embedder: of the demo, for equal numbers; see `head`.

    Raises:
        ValueError: the ledger of something else, or of a demo that did not end.
    """

    def __init__(self, ledger: Ledger, embedder: Embedder):
        self.ledger, self.embedder = ledger, embedder
        self.run = head(ledger)
        self.settings = settings_of(self.run)
        planted = self.run.config.get("faults")
        if planted is not None:
            typed("demo", f"{ledger.path}: run 'after': config: faults", planted, str)
        self.faults = None if planted is None else core.world.FaultSet.parse(planted, 0)
        self.masses = self.faults.masses(MASS_QUESTIONS, seed=1) if self.faults is not None else []
        self._families: dict[str, Families] = {}

    def summary(self) -> dict[str, Any]:
        """`before`, `after`, `arms`, and what was run by whom."""
        trained = sorted({reward_name(self.settings.reward), PAPER})
        budget = min(self.ledger.counts(run=training(name)).answerer_calls for name in trained)
        calls = self.settings.calls
        arms = {ZERO_SHOT: self.numbers(ZERO_SHOT, budget)} if budget else {}
        return {
            "before": self.numbers("before", calls),
            "after": self.numbers("after", calls),
            "arms": arms | {name: self.numbers(training(name), budget) for name in trained},
            "seconds": seconds(self.ledger),
            "seed": self.settings.seed,
            "steps": self.settings.steps,
            "reward": self.settings.reward,
            "answerer": self.run.identities["answerer"],
            "embedder": self.embedder.identity,
            "versions": dict(self.run.versions),
        }

    def numbers(self, run: str, calls: int) -> dict[str, Any]:
        """The paper's numbers and the world's over a run's questions, up to the given number of answers."""
        found, world, families = Tally(), Discovery(self.faults, self.masses), Families()
        for part in self.ledger.each_judged(run):
            some = part.first(calls - found.calls)
            found.add(some)
            world.add(some)
            families.add(part)
        self._families[run] = families
        return found.numbers(self.embedder) | world.numbers()

    def curves(self) -> list[dict[str, Any]]:
        """A row per step of the training that was asked for: rates, reward, novelty, KL, and effective families over
        the last steps."""
        run, phase = training(self.settings.reward), "train"
        if run not in self._families:
            self.numbers(run, 0)
        updates = self.ledger.step_numbers(run, phase)
        terms = {term: self.ledger.reward_means(run, phase, term) for term in ("semantic", "lexical")}
        return [
            {
                "step": each.step,
                "fdr": each.n_wrong / each.n_valid if each.n_valid else math.nan,
                "qvr": each.n_valid / each.n_questions,
                "reward": _number(each.reward),
                **{term: _number(means.get(each.step)) for term, means in terms.items()},
                **recent,
                "kl": updates[each.step].get("kl"),
            }
            for each, recent in zip(self.ledger.steps(phase, run=run), self._families[run].recent(), strict=True)
        ]


class Families:
    """The families of a run's valid questions, step by step."""

    def __init__(self) -> None:
        self._valid: dict[int, Counter[str]] = {}
        self._failing: dict[int, Counter[str]] = {}

    def add(self, part: JudgedQuestions) -> None:
        """Adds some questions, in their order."""
        for step, valid, right, known in zip(part.step, part.valid, part.correct, part.annotations, strict=True):
            if step not in self._valid:
                self._valid[step], self._failing[step] = Counter(), Counter()
            if valid is True and (family := text_of(known, "family")):
                self._valid[step][family] += 1
                self._failing[step][family] += right is False

    def recent(self) -> Iterator[dict[str, float]]:
        """Effective families and failing ones at each step, over it and those before it in the window."""
        steps = sorted(self._valid)
        for i in range(len(steps)):
            window = steps[max(0, i + 1 - WINDOW) : i + 1]
            valid, failing = (sum((kind[step] for step in window), Counter()) for kind in (self._valid, self._failing))
            yield {
                "effective_families": effective_number_counted(valid),
                "effective_failure_families": effective_number_counted(failing),
            }


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
    where = f"{ledger.path}: run 'after': identities"
    for role in ("answerer", "embedder"):
        member("demo", where, runs["after"].identities, role, str)
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
    try:
        return round((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds(), 1)
    except (ValueError, TypeError) as error:
        raise ValueError(f"[demo] {ledger.path}: runs: expected times ({error})") from None


def _number(value: float | None) -> float:
    return math.nan if value is None else value
