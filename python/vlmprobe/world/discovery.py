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
from vlmprobe.ledger import JudgedQuestions, RecordedQuestions


def discovery(
    asked: RecordedQuestions, faults: core.world.FaultSet | None = None, masses: Sequence[float] = ()
) -> dict[str, Any]:
    """The world's numbers over recorded questions; see `Discovery`."""
    found = Discovery(faults, masses)
    found.add(asked.judged())
    return found.numbers()


class Discovery:
    """The world's numbers over questions that come in parts, with the annotations of `vlmprobe.world.truth`.

    Args:
        faults: the fault set of the answerer, if any.
        masses: one per fault, from `faults.masses`.
    """

    def __init__(self, faults: core.world.FaultSet | None = None, masses: Sequence[float] = ()) -> None:
        self._faults, self._masses = faults, masses
        self._programs: set[str] = set()
        self._families: Counter[str] = Counter()
        self._failing: Counter[str] = Counter()
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in ("reached", "triggered", "detected")}

    def add(self, part: JudgedQuestions) -> None:
        """Adds some questions."""
        for valid, right, known in zip(part.valid, part.correct, part.annotations, strict=True):
            if valid is not True:
                continue
            wrong = right is False
            if family := text_of(known, "family"):
                self._families[family] += 1
                self._failing[family] += wrong
            if wrong and (program := text_of(known, "program")):
                self._programs.add(program)
            if reached := known.get("reached"):
                self._counts["reached"].update(each for each in reached if isinstance(each, str))
            if fault := text_of(known, "triggered"):
                self._counts["triggered"][fault] += 1
                self._counts["detected"][fault] += wrong

    def numbers(self) -> dict[str, Any]:
        """
        Returns:
            distinct_failures (programs that failed), effective_families of the valid questions,
            effective_failure_families, faults: id -> mass, reached, triggered, detected.
        """
        return {
            "distinct_failures": len(self._programs),
            "effective_families": metrics.effective_number_counted(self._families),
            "effective_failure_families": metrics.effective_number_counted(self._failing),
            "faults": self._by_fault() if self._faults is not None else {},
        }

    def _by_fault(self) -> dict[str, Mapping[str, Any]]:
        """Per fault: what it is, its mass, and how many valid questions reached, triggered and detected it."""
        assert self._faults is not None
        planted = json.loads(self._faults.to_json())
        if len(self._masses) != len(planted):
            expected = f"expected {len(planted)}, one per fault"
            raise ValueError(f"[discovery] masses: {expected}, got {len(self._masses)}")
        return {
            fault["id"]: {
                "when": fault["when"],
                "effect": fault["effect"],
                "mass": mass,
                **{name: counts[fault["id"]] for name, counts in self._counts.items()},
            }
            for fault, mass in zip(planted, self._masses, strict=True)
        }


def text_of(annotations: Mapping[str, Any], key: str) -> str | None:
    """What the world wrote beside a question; None when it did not."""
    found = annotations.get(key)
    return found if isinstance(found, str) and found else None
