"""What was found of the planted faults, and at what cost, from the questions of a run in their order.

A fault is reached by a valid question that satisfies its condition and was answered, triggered where the answer was
corrupted, and detected where the verifier then said wrong. Counts are of distinct pairs of picture and question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlmprobe import metrics
from vlmprobe._native import core
from vlmprobe.ledger import JudgedQuestions, RecordedQuestions
from vlmprobe.ledger.records import QuestionRecord
from vlmprobe.loop.tally import Tally
from vlmprobe.studies.plantedbench.faults import REACHABLE
from vlmprobe.world.discovery import Discovery, text_of

THRESHOLDS = (3, 10)
"""Distinct pairs at which a fault counts as detected."""


class FaultCount:
    """What a run did to one fault."""

    def __init__(self, mass: float):
        self.mass = mass
        self._pairs: dict[str, set[tuple[int, str]]] = {"reached": set(), "triggered": set(), "detected": set()}
        self._calls: list[int] = []  # answerer calls made when each distinct pair was detected

    def add(self, what: str, pair: tuple[int, str], calls: int) -> None:
        """Counts a pair; `what` is `reached`, `triggered` or `detected`."""
        if what == "detected" and pair not in self._pairs[what]:
            self._calls.append(calls)
        self._pairs[what].add(pair)

    def detected_at(self, count: int) -> int | None:
        """Answerer calls after which so many pairs were detected; None: never."""
        return self._calls[count - 1] if len(self._calls) >= count else None

    def area(self, count: int, budget: int) -> float:
        """Share of the budget that was left when so many pairs were detected."""
        at = self.detected_at(count)
        return 0.0 if at is None else max(0, budget - at) / budget

    def numbers(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "mass": self.mass,
            **{what: len(pairs) for what, pairs in self._pairs.items()},
            "calls_to_first": self.detected_at(1),
            "calls_to_10": self.detected_at(10),
        }


def score(asked: RecordedQuestions, masses: Mapping[str, float], *, budget: int) -> dict[str, Any]:
    """The numbers of a run.

    Args:
        asked: its questions, those of training among them, with the world's annotations.
        masses: id of each planted fault -> its mass.
        budget: answerer calls that the run had.

    Returns:
        reachable, reached, triggered, detected_3, detected_10: numbers of faults; answerer_calls, questions_asked;
        area_3, area_10: mean number of detected faults over the budget; failures: distinct pairs that the verifier
        calls wrong, and false_failures, those that were answered rightly: errors of the verifier; qvr, fdr, ld,
        distinct_failing_programs, families (effective number among the valid questions); curve: [calls, faults
        detected at 3, at 10]; faults: by id, each with mass, reached, triggered, detected (distinct pairs),
        calls_to_first, calls_to_10 (answerer calls; None: never).
    """
    judged = asked.judged()
    counts = {fault: FaultCount(mass) for fault, mass in masses.items()}
    _count(judged, counts, [image for image, _ in asked.rows])
    faults = {fault: count.numbers() for fault, count in counts.items()}
    return {
        "reachable": sum(mass >= REACHABLE for mass in masses.values()),
        **{what: sum(fault[what] > 0 for fault in faults.values()) for what in ("reached", "triggered")},
        **{f"detected_{n}": sum(fault["detected"] >= n for fault in faults.values()) for n in THRESHOLDS},
        "answerer_calls": asked.spent,
        "questions_asked": len(asked.rows),
        **{f"area_{n}": sum(count.area(n, budget) for count in counts.values()) for n in THRESHOLDS},
        **_failures(asked),
        **_diversity(judged),
        "curve": _curve(list(counts.values()), asked.spent),
        "faults": faults,
    }


def _count(judged: JudgedQuestions, counts: Mapping[str, FaultCount], images: Sequence[int]) -> None:
    calls = 0
    columns = zip(images, judged.text, judged.valid, judged.correct, judged.asked, judged.annotations, strict=True)
    for image, text, valid, correct, was_asked, known in columns:
        calls += was_asked
        if valid is not True or not was_asked:  # also valid questions that the budget did not do for
            continue
        pair = (image, text)
        for fault in known.get("reached") or ():
            counts[fault].add("reached", pair, calls)
        if fault := text_of(known, "triggered"):
            counts[fault].add("triggered", pair, calls)
            if correct is False:
                counts[fault].add("detected", pair, calls)


def _failures(asked: RecordedQuestions) -> dict[str, int]:
    """Distinct pairs that the verifier calls wrong, and those of them that were answered rightly."""
    failed = {(image, each.text) for image, each in asked.failures()}
    right = {(image, each.text) for image, each in asked.failures() if _answered_rightly(each)}
    return {"failures": len(failed), "false_failures": len(right)}


def _answered_rightly(question: QuestionRecord) -> bool:
    said = question.answer.text if question.answer is not None else None
    truth = text_of(question.annotations, "truth")
    return said is not None and truth is not None and core.world.same_answer(said, truth) == 1


def _diversity(judged: JudgedQuestions) -> dict[str, Any]:
    qvr, fdr = Tally.of(judged).rates()
    world = Discovery()
    world.add(judged)
    kinds, valid = world.numbers(), [text for text, each in zip(judged.text, judged.valid, strict=True) if each]
    return {
        "qvr": qvr.value,
        "fdr": fdr.value,
        "ld": metrics.prefix_entropy_normalized(valid),
        "distinct_failing_programs": kinds["distinct_failures"],
        "families": kinds["effective_families"],
    }


def _curve(counts: Sequence[FaultCount], calls: int) -> list[list[int]]:
    """[calls, faults detected at each threshold] where one of these changes, and at the end."""
    at = {n: [each for count in counts if (each := count.detected_at(n)) is not None] for n in THRESHOLDS}
    places = sorted({0, calls, *(each for found in at.values() for each in found)})
    return [[place, *(sum(each <= place for each in at[n]) for n in THRESHOLDS)] for place in places]
