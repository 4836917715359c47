"""Rounds made by hand: completions about pictures, as an asker would have asked them."""

from __future__ import annotations

from dataclasses import replace

from vlmprobe.loop.round import Place, Round
from vlmprobe.models.replies import Failure, Reply, Verdict
from vlmprobe.policy.asker import Completions, tagged
from vlmprobe.text import parse_responses

RIGHT, WRONG, UNKNOWN, INVALID = True, False, None, "invalid"
"""What became of a question, for `told`."""


def asked(images, said, *, k=1, place=None) -> Round:
    """A round with `said[i]`, one completion or a list of them, about `images[i]`."""
    completions = Completions.of([[each] if isinstance(each, str) else each for each in said])
    questions = parse_responses(completions.texts, k=k)
    return Round(place=place or Place(), images=list(images), asked=completions, questions=questions)


def told(pictures, *questions, hints, step=0):
    """An examined round: about each picture a question, what became of it, and the hint that it was asked for."""
    texts, became = zip(*questions, strict=True)
    images = pictures[: len(texts)]
    round = asked(images, [tagged([text]) for text in texts], place=Place(step=step))
    verdicts = [
        Verdict(grammatical=True, atomic=True, grounded=each != INVALID, objective=True,
                correct=None if each == INVALID else each, reason="", failure=None)
        for each in became
    ]  # fmt: skip
    answers = [Reply(text="no") if each in (RIGHT, WRONG) else Reply(failure=Failure.EMPTY) for each in became]
    completions = replace(round.asked, hints=hints)
    return replace(round, asked=completions, verdicts=verdicts, answers=answers)
