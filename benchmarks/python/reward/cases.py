"""`reward_4096`: completions to question rewards, beside plain Python and NumPy."""

from __future__ import annotations

from function_case import FunctionCase

from . import ours, reference
from .problem import problem


def make(seed: int, **shape: int) -> dict:
    """The problem, and on each side the history of earlier questions, counted before the clock starts."""
    given = problem(seed, **shape)
    return given | {"counter": reference.prepare(given), "counts": ours.prepare(given)}


def theirs(given: dict) -> dict:
    return reference.reference(given, given["counter"])


def mine(given: dict) -> dict:
    found = ours.ours(given, given["counts"])
    return found | {"added": found["added"].counts}


CASES = (
    FunctionCase(
        "reward_4096",
        make=make,
        reference=theirs,
        ours=mine,
        shapes=({"images": 256},),
        tiny={"images": 4},
        most=1e-12,
        ratio=50.0,
        peer="plain Python and NumPy",
        rounds=15,
        calls=10,
    ),
)
