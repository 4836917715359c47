"""Which planted faults the modes of a run name, and which modes are false. The truth is looked at for scoring alone.

    precision   of the failures that a mode takes, those that the fault triggered
    coverage    of the failures that the fault triggered, those that the mode takes
    named       a fault of which some mode has at least .8 of both (.5 and .95 are counted as well)
    nameable    a fault of which some conjunction of up to three concepts would have that over all failures of the run,
                chosen with the truth in hand: the condition of another fault does not show in questions and answers
    false       a mode whose questions the answerer gets wrong no more often than others: the lower limit of its failure
                rate, over questions drawn uniformly about other pictures and by the truth, is not above the base rate

Precision and coverage are of failures that had no part in finding the mode: those about the other half of the pictures,
and those that were asked to confirm it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe import metrics
from vlmprobe._native import core
from vlmprobe.data.image import Image
from vlmprobe.ledger import Ledger, recorded_questions
from vlmprobe.methods.task import POOL, Task
from vlmprobe.models.protocols import Answerer
from vlmprobe.modes.asked import Asked, asked_of
from vlmprobe.modes.concepts import Concept, answer_words, answers_of, words_of
from vlmprobe.modes.confirm import asked_later, confirm
from vlmprobe.modes.find import FindOptions, find_modes
from vlmprobe.modes.halves import half_of
from vlmprobe.modes.mode import Mode
from vlmprobe.modes.planned import Roles
from vlmprobe.modes.record import PLANNED, Modes, modes_of, questions_of
from vlmprobe.modes.search import conjunctions
from vlmprobe.run.pictures import recalled
from vlmprobe.world.discovery import text_of
from vlmprobe.world.source import HELD_OUT_SEED, WorldImages, scene_of

LEVELS = (0.5, 0.8, 0.95)
NAMED = 0.8
DETECTED = 10
"""Distinct pairs at which a fault was detected often enough to be named."""
SCENES, EACH = 2000, 30
"""Held-out pictures, and questions about each, on which modes are held against the truth."""
MOST = 400
"""Questions that are answered for a mode, and for the base rate."""
Pair = tuple[str, str]


@dataclass(frozen=True)
class Failure:
    """A failure and what the world knows of it."""

    asked: Asked
    fault: str | None
    """That triggered it; None: none did."""
    fresh: bool
    """Whether it was asked to confirm a mode."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """The modes of a run that has ended, and what they are held against."""

    modes: Modes
    asked: Sequence[Asked]
    """The questions in which they were found."""
    failures: Sequence[Failure]
    """Of these questions, and of those that were asked to confirm a mode."""
    roles: Roles
    """Who may be asked more."""


def modes_of_run(task: Task, run: str, detected: Sequence[str], *, calls: int) -> dict[str, Any]:
    """The numbers of `numbers_of` for a run that has ended; arguments as there and of `told_of`."""
    return numbers_of(told_of(task, run, calls=calls), detected)


def told_of(task: Task, run: str, *, calls: int) -> Told:
    """The modes of a run that has ended.

    Args:
        task: of the run.
        run: its name in the ledger.
        calls: to confirm what was found; 0: nothing is asked.
    """
    options, ledger = FindOptions(), task.ledger
    asked = asked_of(ledger, questions_of(ledger))
    modes, spent = find_modes(asked, options), 0
    roles = Roles(
        images=recalled(task.images, ledger, run, kind=POOL), answerer=task.answerer, verifier=task.verifier,
        ledger=ledger, run=run, annotate=task.annotate,
    )  # fmt: skip
    if calls:
        modes, spent = confirm(modes, asked, roles, calls=calls, options=options)
    late = asked_later(ledger, [run.id for run in ledger.runs() if run.config.get("pass") in PLANNED], asked)
    return Told(
        modes=modes_of(asked, modes, calls=spent, options=options), asked=asked,
        failures=failures_of(ledger, asked, late), roles=roles,
    )  # fmt: skip


def numbers_of(told: Told, detected: Sequence[str]) -> dict[str, Any]:
    """The numbers of `named`, and the calls that confirming took (`confirm_calls`).

    Args:
        told: the modes of a run.
        detected: ids of the faults that were detected often enough to be named.
    """
    found = named(told.modes, told.failures, told.roles.answerer, told.asked, detected)
    return {**found, "confirm_calls": told.modes.calls}


def failures_of(ledger: Ledger, asked: Sequence[Asked], fresh: Sequence[Asked]) -> list[Failure]:
    """The failures among some questions, with the faults that the ledger says triggered them."""
    faults: dict[tuple[int, str], str | None] = {}
    for run in ledger.runs():
        for image, question in recorded_questions(ledger, run.id).rows:
            faults.setdefault((image, question.text), text_of(question.annotations, "triggered"))
    both = ((each, late) for late, some in enumerate((asked, fresh)) for each in some if each.wrong)
    return [Failure(each, faults[each.image, each.text], bool(late)) for each, late in both]


def named(
    found: Modes, failures: Sequence[Failure], answerer: Answerer, asked: Sequence[Asked], detected: Sequence[str]
) -> dict[str, Any]:
    """The numbers of a run's modes.

    Args:
        found: the modes.
        failures: of the run.
        answerer: that was asked.
        asked: the questions of the run.
        detected: ids of the faults that were detected often enough to be named.

    Returns:
        modes, false_modes: numbers of modes; named: of the detected faults those that are named, and so named_50,
        named_80, named_95; nameable: those that could be; mode_list: each mode with its `fault` (of best precision and
        coverage), `precision`, `coverage`, `truth` (n, failures, rate and interval of uniform questions) and `false`.
    """
    held = found.holding
    scored = [{**_described(mode), **_best(mode, failures, found.options.seed)} for mode in held]
    for one, (truth, base) in zip(scored, by_truth(held, answerer, asked), strict=True):
        one["truth"] = {"n": truth.n, "rate": truth.value, "interval": [truth.low, truth.high], "base": base.value}
        one["false"] = not truth.low > base.value
    at = {
        level: {one["fault"] for one in scored if min(one["precision"], one["coverage"]) >= level} for level in LEVELS
    }
    return {
        "modes": len(held),
        "false_modes": sum(one["false"] for one in scored),
        "named": len(at[NAMED] & set(detected)),
        "nameable": len(nameable(failures) & set(detected)),
        **{f"named_{round(100 * level)}": len(at[level] & set(detected)) for level in LEVELS},
        "mode_list": scored,
    }


def nameable(failures: Sequence[Failure]) -> set[str]:
    """See the head of this file."""
    total = Counter(each.fault for each in failures if each.fault is not None)
    taken: Counter[tuple[Concept, ...]] = Counter()
    hit: Counter[tuple[tuple[Concept, ...], str]] = Counter()
    for each in failures:
        for some in conjunctions(each.asked.concepts):
            taken[some] += 1
            if each.fault is not None:
                hit[some, each.fault] += 1
    return {fault for (some, fault), n in hit.items() if min(n / taken[some], n / total[fault]) >= NAMED}


def by_truth(
    modes: Sequence[Mode], answerer: Answerer, asked: Sequence[Asked]
) -> list[tuple[metrics.Rate, metrics.Rate]]:
    """Each mode's failure rate by the truth over uniform questions that its rule takes, and that of all of them."""
    known = answer_words(each.answer for each in asked if each.valid and not each.wrong)
    images = WorldImages(SCENES, seed=HELD_OUT_SEED)
    takes: list[list[tuple[Image, str, str]]] = [[] for _ in modes]
    others: list[tuple[Image, str, str]] = []
    for index in range(SCENES if modes else 0):
        image = images[index]
        for part in range(EACH):
            said = core.world.sample_question(scene_of(image), HELD_OUT_SEED, index, part)
            row = (image, said.question, said.answer)
            if len(others) < MOST * 5:
                others.append(row)
            concepts = _concepts(said.question, said.answer, known)
            for place, mode in enumerate(modes):
                if len(takes[place]) < MOST and mode.rule.takes(concepts):
                    takes[place].append(row)
    base = _rate(others, answerer)
    return [(_rate(rows, answerer), base) for rows in takes]


def _concepts(question: str, answer: str, known: frozenset[str]) -> frozenset[Concept]:
    return words_of(question) | answers_of(answer, "", correct=True, known=known)


def _rate(rows: Sequence[tuple[Image, str, str]], answerer: Answerer) -> metrics.Rate:
    replies = answerer.answer([image for image, _, _ in rows], [question for _, question, _ in rows]) if rows else []
    wrong = [
        None if reply.text is None else core.world.same_answer(reply.text, truth) != 1
        for reply, (_, _, truth) in zip(replies, rows, strict=True)
    ]
    return metrics.rate(wrong, cluster=[image.key for image, _, _ in rows])


def _described(mode: Mode) -> dict[str, Any]:
    best = mode.best
    return {
        "id": mode.id, "name": mode.name, "rule": mode.rule.plain(), "state": mode.state, "n": best.n,
        "failures": best.failures, "rate": best.rate.value, "share": mode.share.value,
    }  # fmt: skip


def _best(mode: Mode, failures: Sequence[Failure], seed: int) -> dict[str, Any]:
    """The fault that a mode tells best, by the lesser of precision and coverage."""
    held_out = [each for each in failures if each.fresh or half_of(each.asked.key, seed=seed) != mode.found_on]
    taken = [each for each in held_out if mode.rule.takes(each.asked.concepts)]
    counts: Mapping[str, list[int]] = {each.fault: [0, 0] for each in held_out if each.fault is not None}
    for place, some in enumerate((taken, held_out)):
        for each in some:
            if each.fault is not None:
                counts[each.fault][place] += 1
    shares = [(hit / len(taken), hit / whole, fault) for fault, (hit, whole) in counts.items() if hit]
    precision, coverage, fault = max(shares, key=lambda each: (min(each[:2]), each[2]), default=(0.0, 0.0, None))
    return {"fault": fault, "precision": precision, "coverage": coverage}
