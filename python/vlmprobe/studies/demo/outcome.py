"""What a demo found, read from its ledger alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from vlmprobe._native import core
from vlmprobe._util.json import check_fields, member, typed
from vlmprobe.ledger import FailureRow, Ledger, RunRecord
from vlmprobe.loop.record import recorded_round
from vlmprobe.loop.tally import Tally
from vlmprobe.methods.task import pool, pool_runs
from vlmprobe.methods.world_hints import world_bandit
from vlmprobe.probe.hints import AskedFor, HintCounts
from vlmprobe.studies.demo.experiment import DEFAULT, HEAD, ZERO_SHOT, Settings, trained
from vlmprobe.studies.plantedbench.faults import REACHABLE, masses_over
from vlmprobe.studies.plantedbench.score import score
from vlmprobe.world.source import POOL_SEED, WorldImages


class Outcome:
    """The numbers and rows of a finished demo.

    Args:
        ledger: of the demo.

    Raises:
        ValueError: the ledger of something else, or of a demo that did not end.
    """

    def __init__(self, ledger: Ledger):
        self.ledger, self.run = ledger, head(ledger)
        self.settings = settings_of(self.run)
        self.images = WorldImages(self.settings.pictures, seed=POOL_SEED)
        self.planted = self._planted()
        self._times = dict(zip((run.id for run in ledger.runs()), ledger.times(), strict=True))

    def summary(self) -> dict[str, Any]:
        """`arms` by name, what was planted, the hints of the default arm, and what was run by whom."""
        settings = self.settings
        return {
            "arms": {name: self.numbers(name) for name in (DEFAULT, ZERO_SHOT, *trained(settings.reward))},
            "planted": self.planted,
            "reachable": sum(fault["mass"] >= REACHABLE for fault in self.planted.values()),
            "hints": [asdict(each) for each in self.hints()],
            "seconds": self.seconds([HEAD]),
            "calls": settings.calls,
            "pictures": settings.pictures,
            "seed": settings.seed,
            "reward": settings.reward,
            "answerer": self.run.identities["answerer"],
            "embedder": self.run.identities["embedder"],
            "versions": dict(self.run.versions),
        }

    def numbers(self, arm: str) -> dict[str, Any]:
        """Those of PlantedBench for an arm, with the rates' intervals, their n, and seconds."""
        asked = pool(self.ledger, arm)
        masses = {fault: known["mass"] for fault, known in self.planted.items()}
        tally = Tally.of(asked.judged())
        qvr, fdr = tally.rates()
        return {
            **score(asked, masses, budget=self.settings.calls),
            "n_valid": tally.valid,
            "n_unscored": qvr.n_unscored + fdr.n_unscored,
            "qvr_interval": [qvr.low, qvr.high],
            "fdr_interval": [fdr.low, fdr.high],
            "seconds": self.seconds(pool_runs(self.ledger, arm)),
        }

    def hints(self) -> list[AskedFor]:
        """What the default arm was told to ask about, and what came of it."""
        found = HintCounts(world_bandit())
        for run in pool_runs(self.ledger, DEFAULT):
            for record in self.ledger.each_step(run):
                found.see(recorded_round(record))
        return found.found()

    def failures(self) -> Iterator[FailureRow]:
        """Those of the default arm, in the order in which they were found, each pair of picture and question once."""
        seen: set[tuple[int, str]] = set()
        for run in pool_runs(self.ledger, DEFAULT):
            for row in self.ledger.failures(run=run):
                if (row.image, row.question) not in seen:
                    seen.add((row.image, row.question))
                    yield row

    def seconds(self, runs: list[str]) -> float:
        """From the first beginning to the last end of some runs."""
        times = [self._times[run] for run in runs]
        began, ended = (min(begin for begin, _ in times), max(end for _, end in times if end is not None))
        try:
            return round((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds(), 1)
        except (ValueError, TypeError) as error:
            raise ValueError(f"[demo] {self.ledger.path}: runs: expected times ({error})") from None

    def _planted(self) -> dict[str, dict[str, Any]]:
        """Id of each planted fault -> its condition, effect, and mass over the pictures."""
        text = self.run.config.get("faults")
        if text is None:
            return {}
        faults = core.world.FaultSet.parse(typed("demo", f"{self.ledger.path}: config: faults", text, str), 0)
        return {
            fault["id"]: {"when": fault["when"], "effect": fault["effect"], "mass": mass}
            for fault, mass in zip(json.loads(faults.to_json()), masses_over(faults, self.images), strict=True)
        }


def head(ledger: Ledger) -> RunRecord:
    """The demo's settings, versions and models.

    Raises:
        ValueError: the ledger of something else, or of a demo that did not end.
    """
    runs = {run.id: run for run in ledger.runs()}
    if HEAD not in runs or not all(run.finished for run in ledger.progress()):
        raise ValueError(
            f"[demo] {ledger.path}: expected the ledger of a finished demo, got {', '.join(runs) or 'an empty one'}"
        )
    for role in ("answerer", "embedder"):
        member("demo", f"{ledger.path}: run {HEAD!r}: identities", runs[HEAD].identities, role, str)
    return runs[HEAD]


def settings_of(run: RunRecord) -> Settings:
    """The demo's settings; planted faults are in the run's config as they were read."""
    names = {field.name for field in fields(Settings)} - {"faults"}
    check_fields("demo", f"run {run.id!r}: config", Settings, run.config)
    return Settings(**{name: value for name, value in run.config.items() if name in names})
