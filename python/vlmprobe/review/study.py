"""What labels say: how far people agree with the verifier and with each other, and the rates with the verifier's errors
taken out. The paper's human study, with five annotators an item, is this report."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vlmprobe import metrics
from vlmprobe._util.json import plain
from vlmprobe.ledger import LabelRecord, Ledger
from vlmprobe.metrics.judged import INVALID, NAMES, RIGHT, UNSCORED, WRONG, Corrected, state
from vlmprobe.review.desk import Posed, posed_of
from vlmprobe.review.people import Place, most

STATES = (INVALID, RIGHT, WRONG)
UNTOLD = 3
"""What people say of a valid question that has no answer."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A run's labels beside its verdicts."""

    annotators: dict[str, int]
    """Name -> questions on which that person said something."""
    table: list[list[int]]
    """[3][4] questions by state as judged (rows) and as most people say (columns; the last is `UNTOLD`)."""
    confirmed: list[metrics.Rate]
    """[3] of the questions that the verifier judged so, those of which people say the same."""
    verifier: metrics.Agreement
    """Of the verifier with what most people say. Its items were not drawn alike from all verdicts."""
    validity: metrics.Agreement
    """The same of valid and invalid alone."""
    correctness: metrics.Agreement
    """The same of right and wrong alone, on questions that both call valid."""
    people: metrics.Agreement
    """Of people with each other."""
    qvr: Corrected
    """Of all questions with a verdict."""
    fdr: Corrected
    """Of the questions with an answer that was judged."""
    qvr_as_judged: metrics.Rate
    fdr_as_judged: metrics.Rate

    @property
    def labelled(self) -> int:
        """Questions with a verdict on which most people say the same."""
        return sum(map(sum, self.table))

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = plain({**asdict(self), "states": [*NAMES, "valid"], "labelled": self.labelled})
        return found


def study(ledger: Ledger, run: str, *, seed: int = 0) -> Study:
    """Reads the labels of a run.

    QVR and FDR are `vlmprobe.metrics.corrected_by_labels`; before each state that was judged has a label nothing is
    known of the verifier's errors there, and the interval is [0, 1]. FDR is of the questions that were answered, since
    nobody knows how others would have been.

    Args:
        ledger: of the run.
        run: its name.
        seed: of the intervals.
    """
    posed = posed_of(ledger, run)
    by_place: dict[Place, dict[str, LabelRecord]] = {}
    for label in ledger.labels(run):
        place = (label.phase, label.step, label.sequence, label.slot)
        by_place.setdefault(place, {})[label.annotator] = label
    names = sorted({name for said in by_place.values() for name in said})
    ratings = [[_rating(each, by_place.get(each.place, {}).get(name)) for name in names] for each in posed]
    people = [most(row) for row in ratings]
    rows = [i for i, each in enumerate(posed) if each.judged != UNSCORED and people[i] is not None]
    pictures: list[Hashable] = [each.image for each in posed]
    pairs: list[list[Hashable | None]] = [[posed[i].judged, people[i]] for i in rows]
    told = [i for i, pair in zip(rows, pairs, strict=True) if _told(pair)]
    answered = [i for i, each in enumerate(posed) if each.answer is not None]
    return Study(
        annotators={name: sum(row[k] is not None for row in ratings) for k, name in enumerate(names)},
        table=[[sum(pair == [j, t] for pair in pairs) for t in (*STATES, UNTOLD)] for j in STATES],
        confirmed=[_confirmed(j, posed, people, rows) for j in STATES],
        verifier=_agreement(pairs, rows, pictures, seed),
        validity=_agreement([[a != INVALID, b != INVALID] for a, b in pairs], rows, pictures, seed),
        correctness=_agreement([pair for pair in pairs if _told(pair)], told, pictures, seed),
        people=metrics.annotator_agreement(ratings, cluster=pictures, seed=seed),
        qvr=_corrected("qvr", posed, [RIGHT if each == UNTOLD else each for each in people], range(len(posed)), seed),
        fdr=_corrected("fdr", posed, people, answered, seed),
        qvr_as_judged=_rate([None if each.judged == UNSCORED else each.judged != INVALID for each in posed], pictures),
        fdr_as_judged=_rate(
            [None if posed[i].judged == UNSCORED else posed[i].judged == WRONG for i in answered],
            [pictures[i] for i in answered],
        ),
    )


def _rating(posed: Posed, label: LabelRecord | None) -> int | None:
    """What a person says of a question; None where that is not enough."""
    if label is None:
        return None
    if label.valid and posed.answer is None:
        return UNTOLD
    found = state(label.valid, label.correct)
    return None if found == UNSCORED else found


def _told(pair: Sequence[Hashable | None]) -> bool:
    """Whether both say something about the answer."""
    return all(each in (RIGHT, WRONG) for each in pair)


def _agreement(
    pairs: Sequence[Sequence[Hashable | None]], rows: Sequence[int], pictures: Sequence[Hashable], seed: int
) -> metrics.Agreement:
    return metrics.annotator_agreement(pairs, cluster=[pictures[i] for i in rows], seed=seed)


def _rate(values: Sequence[bool | None], pictures: Sequence[Hashable]) -> metrics.Rate:
    return metrics.rate(values, cluster=pictures)


def _confirmed(judged: int, posed: Sequence[Posed], people: Sequence[int | None], rows: Sequence[int]) -> metrics.Rate:
    some = [i for i in rows if posed[i].judged == judged]
    return _rate([people[i] == judged for i in some], [posed[i].image for i in some])


def _corrected(
    name: str, posed: Sequence[Posed], people: Sequence[int | None], rows: Sequence[int], seed: int
) -> Corrected:
    judged, labels = [posed[i].judged for i in rows], [people[i] for i in rows]
    seen = {each for each in judged if each != UNSCORED}
    told = {each for each, label in zip(judged, labels, strict=True) if label is not None}
    if not seen or not seen <= told:
        n, unscored = sum(each != UNSCORED for each in judged), judged.count(UNSCORED)
        return Corrected(math.nan, 0.0, 1.0, n, sum(label is not None for label in labels), unscored)
    found = metrics.corrected_by_labels(judged, labels, cluster=[posed[i].image for i in rows], seed=seed)
    corrected: Corrected = getattr(found, name)
    return corrected
