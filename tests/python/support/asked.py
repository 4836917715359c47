"""Judged questions with known causes of failure: words drawn at random, and rules under which they fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlmprobe.modes.asked import Asked, described

COLORS = ("red", "green", "blue", "yellow", "purple", "orange")
SHAPES = ("circle", "square", "triangle", "star", "cross")
VERBS = ("count", "sort", "compare", "locate", "describe")
ANSWERS = ("cat", "dog", "bird", "fish")


def questions(
    rng: np.random.Generator,
    n: int,
    *,
    faults: Sequence[frozenset[str]] = (),
    base: float = 0.0,
    pictures: int = 120,
    rate: float = 1.0,
) -> list[Asked]:
    """Valid questions about pictures, of which those fail that have all words of a fault.

    Args:
        rng: of everything.
        n: questions.
        faults: words of the question; `=dog` is the right answer.
        base: rate at which any question fails.
        pictures: that the questions are about.
        rate: at which those with a fault fail.
    """
    found = []
    for i in range(n):
        words = [str(rng.choice(some)) for some in (VERBS, COLORS, SHAPES)]
        truth, image = str(rng.choice(ANSWERS)), int(rng.integers(pictures))
        met = any(fault <= {*words, f"={truth}"} for fault in faults)
        wrong = bool(rng.random() < (rate if met else base))
        found.append(
            Asked(
                image=image,
                key=f"picture-{image}",
                text=f"{' the '.join(words)} number {i}",
                valid=True,
                wrong=wrong,
                answer="mouse" if wrong else truth,
                reason=f"the right answer is {truth}",
            )
        )
    return described(found)


def shuffled(rng: np.random.Generator, asked: Sequence[Asked]) -> list[Asked]:
    """The same questions with the verdicts of others."""
    rows = [asked[i] for i in rng.permutation(len(asked))]
    return [replace(each, wrong=other.wrong) for each, other in zip(asked, rows, strict=True)]
