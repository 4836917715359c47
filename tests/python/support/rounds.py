"""Rounds made by hand: completions about pictures, as an asker would have asked them."""

from __future__ import annotations

from vlmprobe.loop.round import Place, Round
from vlmprobe.policy.asker import Completions
from vlmprobe.text import parse_responses


def asked(images, said, *, k=1, place=None) -> Round:
    """A round with `said[i]`, one completion or a list of them, about `images[i]`."""
    completions = Completions.of([[each] if isinstance(each, str) else each for each in said])
    questions = parse_responses(completions.texts, k=k)
    return Round(place=place or Place(), images=list(images), asked=completions, questions=questions)
