"""What a run discovered, scored against the world's truth.

A fault is reached when a valid question satisfied its condition, triggered when the answer was corrupted, detected
when the verifier then said wrong. Effective numbers are exponentials of entropies.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vlmprobe import metrics
from vlmprobe._native import core
from vlmprobe.evaluation import Tally, is_correct
from vlmprobe.ledger.records import QuestionRecord

MASS_QUESTIONS = 40_000  # uniform valid questions that masses are estimated on


def discovery(tally: Tally, faults: core.world.FaultSet | None = None, masses: Sequence[float] = ()) -> dict[str, Any]:
    """The world's numbers over a tally.

    Args:
        tally: with the annotations of `vlmprobe.world.truth`.
        faults: the fault set of the answerer, if any.
        masses: one per fault, from `faults.masses`.

    Returns:
        distinct_failures (programs that failed), effective_families of the valid questions,
        effective_failure_families, faults: id -> mass, reached, triggered, detected.
    """
    valid = [question for _, question in tally.valid()]
    failures = [question for _, question in tally.failures()]
    return {
        "distinct_failures": len({known(question, "program") for question in failures} - {None}),
        "effective_families": effective_families(valid),
        "effective_failure_families": effective_families(failures),
        "faults": fault_counts(valid, faults, masses) if faults is not None else {},
    }


def known(question: QuestionRecord, key: str) -> Any:
    """What the world wrote beside a question; None when it did not."""
    return question.annotations.get(key)


def effective_families(questions: Sequence[QuestionRecord]) -> float:
    """Effective number of families among the questions; NaN without any."""
    return metrics.effective_number([family for question in questions if (family := known(question, "family"))])


def fault_counts(
    valid: Sequence[QuestionRecord], faults: core.world.FaultSet, masses: Sequence[float]
) -> dict[str, Mapping[str, Any]]:
    """Per fault: what it is, its mass, and how many valid questions reached, triggered and detected it."""
    reached: Counter[str] = Counter()
    triggered: Counter[str] = Counter()
    detected: Counter[str] = Counter()
    for question in valid:
        reached.update(known(question, "reached") or ())
        if fault := known(question, "triggered"):
            triggered[fault] += 1
            detected[fault] += is_correct(question) is False
    planted = json.loads(faults.to_json())
    if len(masses) != len(planted):
        raise ValueError(f"[discovery] masses: expected {len(planted)}, one per fault, got {len(masses)}")
    return {
        fault["id"]: {
            "when": fault["when"],
            "effect": fault["effect"],
            "mass": mass,
            "reached": reached[fault["id"]],
            "triggered": triggered[fault["id"]],
            "detected": detected[fault["id"]],
        }
        for fault, mass in zip(planted, masses, strict=True)
    }
