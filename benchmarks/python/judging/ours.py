"""Steps of a probe, in turn and with its parts side by side."""

from __future__ import annotations

import time

from vlmprobe.data.order import in_order
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.round import Round
from vlmprobe.methods import ChatAsker
from vlmprobe.models.judges import ModelAnswerer, ModelVerifier
from vlmprobe.run.pictures import of_run
from vlmprobe.run.probe import probe

from .problem import GROUP, PICTURES, STEP, Problem
from .server import QUESTIONS


def steps(problem: Problem, *, overlap: bool) -> dict:
    """A run with a ledger; its seconds per step, the first of which fills what the others keep full."""
    ends: list[float] = [time.perf_counter()]
    failures: list[int] = []

    def see(round: Round) -> None:
        ends.append(time.perf_counter())
        failures.append(len(round.failed))

    with Ledger(":memory:") as ledger:
        ledger.begin(RunRecord(id="run"))
        probe(
            ChatAsker(problem.client("asker")),
            ModelAnswerer(problem.client("answers")),
            ModelVerifier(problem.client("judge")),
            in_order(of_run(problem.images, ledger, "run"), PICTURES),
            calls=STEP * problem.steps, k=QUESTIONS, group_size=GROUP, seed=0, ledger=ledger, on_round=see,
            overlap=overlap, worth=lambda step: step < problem.steps,
        )  # fmt: skip
    filled = (ends[-1] - ends[1]) / max(1, len(ends) - 2)
    return {"failures": failures, "phases": {"step": filled, "run": ends[-1] - ends[0]}}
