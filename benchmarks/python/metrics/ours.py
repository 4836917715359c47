"""vlmprobe's Vendi score; `prepare_add` is outside the clock: what an accumulator held before."""

from __future__ import annotations

from vlmprobe import metrics


def once(problem: dict) -> dict:
    return {"score": metrics.vendi(problem["first"])}


def prepare_add(problem: dict) -> metrics.VendiAccumulator:
    accumulator = metrics.VendiAccumulator(problem["first"].shape[1])
    accumulator.add(problem["first"])
    return accumulator


def add(problem: dict, accumulator: metrics.VendiAccumulator) -> dict:
    accumulator.add(problem["added"])
    return {"score": accumulator.value()}
