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
from vlmprobe.modes.asked import NOTHING, Asked, asked_of
from vlmprobe.modes.concepts import Concept, answer_words, answers_of, words_of
from vlmprobe.modes.confirm import asked_later, confirm
from vlmprobe.modes.find import FindOptions, find_modes
from vlmprobe.modes.halves import half_of
from vlmprobe.modes.mode import Mode
from vlmprobe.modes.planned import Roles
from vlmprobe.modes.record import PLANNED, Modes, modes_of, questions_of
from vlmprobe.modes.rules import Rule
from vlmprobe.modes.search import conjunctions
from vlmprobe.run.pictures import recalled
from vlmprobe.studies.plantedbench.described import Described
from vlmprobe.world.discovery import text_of
from vlmprobe.world.source import HELD_OUT_SEED, WorldImages, scene_of

LEVELS = (0.5, 0.8, 0.95)
NAMED = 0.8
DETECTED = 10
"""Distinct pairs at which a fault was detected often enough to be named."""
SCENES, EACH = 2000, 30
"""Held-out pictures, and questions about each, on which modes are held against the truth."""
MOST = 400
"""Questions that are answered for a mode; for the base rate five times as many."""
ENOUGH = 500
"""Questions that are labelled for a mode at most."""
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
    described: Described | None
    """What is said of questions and pictures besides; None: nothing."""


def told_of(task: Task, run: str, *, calls: int, described: bool = False) -> Told:
    """The modes of a run that has ended.

    Args:
        task: of the run.
        run: its name in the ledger.
        calls: to confirm what was found; 0: nothing is asked.
        described: whether the stand-in names skills of questions and tags of pictures first.
    """
    options, ledger = FindOptions(), task.ledger
    said = Described(ledger, questions_of(ledger), task.images) if described else None
    besides = NOTHING if said is None else said.besides
    asked = asked_of(ledger, questions_of(ledger), besides=besides)
    modes, spent = find_modes(asked, options), 0
    roles = Roles(
        images=recalled(task.images, ledger, run, kind=POOL), answerer=task.answerer, verifier=task.verifier,
        ledger=ledger, run=run, annotate=task.annotate,
    )  # fmt: skip
    if calls:
        modes, spent = confirm(modes, asked, roles, calls=calls, options=options, besides=besides)
    planned = [run.id for run in ledger.runs() if run.config.get("pass") in PLANNED]
    late = asked_later(ledger, planned, asked, besides=besides)
    return Told(
        modes=modes_of(asked, modes, calls=spent, options=options), asked=asked,
        failures=failures_of(ledger, asked, late), roles=roles, described=said,
    )  # fmt: skip


def numbers_of(told: Told, detected: Sequence[str]) -> dict[str, Any]:
    """The numbers of `named`, and the calls that confirming took (`confirm_calls`).

    Args:
        told: the modes of a run.
        detected: ids of the faults that were detected often enough to be named.
    """
    found = named(told, detected)
    return {**found, "confirm_calls": told.modes.calls}


def failures_of(ledger: Ledger, asked: Sequence[Asked], fresh: Sequence[Asked]) -> list[Failure]:
    """The failures among some questions, with the faults that the ledger says triggered them."""
    faults: dict[tuple[int, str], str | None] = {}
    for run in ledger.runs():
        for image, question in recorded_questions(ledger, run.id).rows:
            faults.setdefault((image, question.text), text_of(question.annotations, "triggered"))
    both = ((each, late) for late, some in enumerate((asked, fresh)) for each in some if each.wrong)
    return [Failure(each, faults[each.image, each.text], bool(late)) for each, late in both]


def named(told: Told, detected: Sequence[str]) -> dict[str, Any]:
    """The numbers of a run's modes.

    Args:
        told: the modes.
        detected: ids of the faults that were detected often enough to be named.

    Returns:
        modes, false_modes: numbers of modes; named: of the detected faults those that are named, and so named_50,
        named_80, named_95; nameable: those that could be; mode_list: each mode with its `fault` (of best precision and
        coverage), `precision`, `coverage`, `truth` (n, failures, rate and interval of uniform questions) and `false`.
    """
    held, failures = told.modes.holding, told.failures
    scored = [{**_plain(mode), **_best(mode, failures, told.modes.options.seed)} for mode in held]
    for one, (truth, base) in zip(scored, by_truth(told), strict=True):
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


def by_truth(told: Told) -> list[tuple[metrics.Rate, metrics.Rate]]:
    """Each mode's failure rate by the truth over uniform questions that its rule takes, and that of all of them."""
    modes, answerer = told.modes.holding, told.roles.answerer
    if not modes:
        return []
    rows = uniform()
    asked = [(each.image.id, each.text, each.answer) for each in rows]
    takes = taken_by([mode.rule for mode in modes], told, asked, most=ENOUGH)
    base = _rate(rows[: 5 * MOST], answerer)
    return [(_rate([rows[i] for i in taken[:MOST]], answerer), base) for taken in takes]


@dataclass(frozen=True)
class Uniform:
    """A valid question about a held-out picture, drawn as the world draws them."""

    image: Image
    text: str
    answer: str


def held_out() -> WorldImages:
    """The pictures that uniform questions are about."""
    return WorldImages(SCENES, seed=HELD_OUT_SEED)


def uniform() -> list[Uniform]:
    """`EACH` questions about every held-out picture."""
    images = held_out()
    drawn = ((index, part) for index in range(SCENES) for part in range(EACH))
    said = ((i, core.world.sample_question(scene_of(images[i]), HELD_OUT_SEED, i, part)) for i, part in drawn)
    return [Uniform(images[i], each.question, each.answer) for i, each in said]


def taken_by(
    rules: Sequence[Rule], told: Told, rows: Sequence[tuple[int, str, str]], *, most: int | None = None
) -> list[list[int]]:
    """Places of the questions that each rule takes.

    Args:
        rules: of modes.
        told: the run that they are of.
        rows: number of a held-out picture, the question, and its right answer.
        most: questions that are labelled for a rule; those that come after them are not among its own. None: all.
    """
    known = answer_words(each.answer for each in told.asked if each.valid and not each.wrong)
    concepts = [words_of(text) | answers_of(answer, "", correct=True, known=known) for _, text, answer in rows]
    spoken = [rule.only("word", "answer") for rule in rules]
    # What a rule says of words and answers is looked at first, so that little is to be labelled.
    near = [[i for i, each in enumerate(concepts) if part is None or part.takes(each)] for part in spoken]
    near = [some if part == rule else some[:most] for some, rule, part in zip(near, rules, spoken, strict=True)]
    more = [some for some, rule, part in zip(near, rules, spoken, strict=True) if part != rule]
    if told.described is not None and more:
        places = sorted(set().union(*more))
        labels = told.described.of_others([rows[i][:2] for i in places], held_out())
        for place, label in zip(places, labels, strict=True):
            concepts[place] = concepts[place] | label
    return [[i for i in some if rule.takes(concepts[i])] for some, rule in zip(near, rules, strict=True)]


def _rate(rows: Sequence[Uniform], answerer: Answerer) -> metrics.Rate:
    replies = answerer.answer([each.image for each in rows], [each.text for each in rows]) if rows else []
    wrong = [
        None if reply.text is None else core.world.same_answer(reply.text, each.answer) != 1
        for reply, each in zip(replies, rows, strict=True)
    ]
    return metrics.rate(wrong, cluster=[each.image.key for each in rows])


def _plain(mode: Mode) -> dict[str, Any]:
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
