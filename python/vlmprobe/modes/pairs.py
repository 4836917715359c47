"""Minimal pairs: of a question whose right answer is yes, and one that differs by a word so that it is no, does the
answerer tell them apart?

The word that is put in another's place stood between the same neighbours in some valid question of the run
(`vlmprobe.methods.archive`). What the right answer is follows from the answer and the verdict on it, because there are
two. A pair is told apart where both are answered rightly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlmprobe import metrics
from vlmprobe.data.image import Image
from vlmprobe.data.source import ImageSource
from vlmprobe.methods.archive import Archive
from vlmprobe.modes.asked import Asked
from vlmprobe.modes.cases import Case, Outcome, ask_cases
from vlmprobe.modes.concepts import said
from vlmprobe.modes.confirm import CLOSE
from vlmprobe.modes.planned import Roles
from vlmprobe.modes.rules import Rule

WHAT = "pairs"
VARIANTS = 4
"""Of each question that are asked."""


@dataclass(frozen=True)
class Pair:
    """Two questions about a picture, of which the right answers are yes and no."""

    key: str
    yes: str
    no: str
    told: bool
    """Whether both were answered rightly."""


def pairs(asked: Sequence[Asked], rule: Rule, roles: Roles, *, calls: int) -> tuple[list[Pair], int]:
    """The minimal pairs of a mode, one for each question at most, and the calls that were spent.

    Args:
        asked: the questions of the run, in which the mode was found.
        rule: of the mode; a question's partner need not be its own.
        roles: who answers and judges; the pictures under the numbers that `asked` has.
        calls: answerer calls at most.
    """
    begun = [each for each in asked if each.valid and rule.takes(each.concepts) and _right(each) == "yes"]
    archive = Archive(CLOSE)
    for each in asked:
        archive.take(each.image, each.text, valid=each.valid, correct=not each.wrong if each.valid else None)
    tried = [(each, text) for each in begun for text in sorted(archive.variants(each.text))[:VARIANTS]]
    tried = tried[: 4 * calls]
    images = {number: picture_of(roles.images, number) for number in {each.image for each, _ in tried}}
    known = [(each, text, image) for each, text in tried if (image := images[each.image]) is not None]
    outcomes, spent = ask_cases([Case(image, text) for _, text, image in known], roles, calls=calls, what=WHAT)
    found: dict[tuple[str, str], Pair] = {}
    for (each, text, _), outcome in zip(known, outcomes, strict=True):
        if _answer(outcome) == "no":
            told = not each.wrong and outcome.wrong is False
            found.setdefault(each.pair, Pair(each.key, each.text, text, told))
    return list(found.values()), spent


def accuracy(found: Sequence[Pair]) -> metrics.Rate:
    """Of the pairs those that were told apart, with an interval that counts pictures."""
    return metrics.rate([each.told for each in found], cluster=[each.key for each in found])


def _right(each: Asked) -> str | None:
    return _of(each.answer, wrong=each.wrong)


def _answer(outcome: Outcome) -> str | None:
    """The right answer of a valid question, where it is yes or no."""
    if outcome.valid is not True or outcome.wrong is None or outcome.answer is None:
        return None
    return _of(outcome.answer, wrong=outcome.wrong)


def _of(answer: str, *, wrong: bool) -> str | None:
    words = said(answer) & {"yes", "no"}
    if len(words) != 1:
        return None
    [word] = words
    return {"yes": "no", "no": "yes"}[word] if wrong else word


def picture_of(images: ImageSource, number: int) -> Image | None:
    """A picture of a source; None where it cannot be read any more."""
    try:
        return images[number]
    except Exception:  # it was there when it was asked about; what cannot be read is left out
        return None
