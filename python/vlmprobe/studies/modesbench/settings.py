"""The answerers and verifiers under which failure modes are measured, and the runs of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlmprobe.studies.plantedbench.faults import FaultList
from vlmprobe.studies.plantedbench.run import Run
from vlmprobe.studies.plantedbench.settings import Settings

METHOD = "default"
FRESH = 0.1
"""Share of the budget that goes into fresh questions, unless told otherwise."""
NOISE = 0.9
CONDITIONS: dict[str, dict[str, Any]] = {
    "executing": {},
    "words": {"described": None},
    "control": {"control": True},
    "noisy": {"noise": NOISE},
    "noisy-control": {"noise": NOISE, "control": True},
    "tiny": {"answerer": "small"},
}
"""Name -> what is other than in the first: an answerer that is always right but for its faults, a verifier that
knows, and modes that may speak of skills and of tags of pictures, as the world's stand-in names them. With `words` they
may speak of words and answers alone. In a control the faults are there and never fire; `noisy` verifiers are right in
90 of 100 verdicts of each kind; `tiny` is a small model that has errors of its own beside the faults."""


def runs_of(condition: str, sets: Sequence[FaultList], *, budget: int, fresh: float, seed: int) -> list[Run]:
    """A run of the default prober for each fault set."""
    settings = Settings(budget=budget, fresh=fresh, **{"described": True, **CONDITIONS[condition]})
    return [Run(method=METHOD, faults=faults, seed=seed, settings=settings) for faults in sets]
