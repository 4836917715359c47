"""What a prompted model asks most: the law of the narrow questioners' lessons.

A vision-language model that is asked for questions about a picture asks a few kinds in a few ways, and everything else
now and then. Here the r-th family of `FAMILIES` has a weight of r**-FAMILY_EXPONENT, and within a family the r-th
beginning (the first two words of a question) a weight of r**-BEGINNING_EXPONENT. Beginnings are in the order of
`beginnings`: the one named beside the family first, then the others, the most frequent under uniform questions first.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cache

from vlmprobe._native import core

FAMILIES = {
    "color": "what color",
    "exist": "is there",
    "count": "how many",
    "shape": "what shape",
    "count_all": "how many",
    "size": "what size",
    "texture": "is the",
    "relation": "is the",
    "corner": "what color",
    "extreme": "what is",
    "compare": "are there",
    "nearest": "what color",
    "negation": "is there",
    "same": "do the",
    "two_step": "how many",
}
"""The families, what is asked most first, and the beginning that each is asked with most."""

FAMILY_EXPONENT = 1.5
BEGINNING_EXPONENT = 2.8
ATTEMPTS = 64  # questions of a family that are drawn for one of a given beginning

_CENSUS_SEED, _CENSUS_SCENES = 4_000_003, 2_000


def beginning(question: str) -> str:
    """The first two words."""
    return " ".join(question.split()[:2])


@cache
def beginnings() -> dict[str, list[str]]:
    """The beginnings of each family in the order of the law, from a seeded sample of 2,000 questions of each family."""
    order = {}
    for family, favourite in FAMILIES.items():
        kind = getattr(core.world.Family, family)
        seen: Counter[str] = Counter()
        for index in range(_CENSUS_SCENES):
            scene = core.world.sample_scene(_CENSUS_SEED, index)
            try:
                question = core.world.sample_question_of(scene, kind, _CENSUS_SEED, index).question
            except core.InvalidState:  # the scene has no question of the family
                continue
            seen[beginning(question)] += 1
        del seen[favourite]
        order[family] = [favourite, *sorted(seen, key=lambda words: (-seen[words], words))]
    return order


def _zipf(count: int, exponent: float) -> list[float]:
    return [rank**-exponent for rank in range(1, count + 1)]


def habitual_question(scene: core.world.Scene, draw: random.Random) -> core.world.Sample:
    """A valid question about a scene by the law. What the scene does not give is drawn again."""
    while True:
        [family] = draw.choices(list(FAMILIES), _zipf(len(FAMILIES), FAMILY_EXPONENT))
        choices = beginnings()[family]
        [wanted] = draw.choices(choices, _zipf(len(choices), BEGINNING_EXPONENT))
        sample = _asked_as(scene, getattr(core.world.Family, family), wanted, draw)
        if sample is not None:
            return sample


def _asked_as(
    scene: core.world.Scene, family: core.world.Family, wanted: str, draw: random.Random
) -> core.world.Sample | None:
    for _ in range(ATTEMPTS):
        try:
            sample = core.world.sample_question_of(scene, family, draw.getrandbits(48), 0)
        except core.InvalidState:  # the scene has no question of the family
            return None
        if beginning(sample.question) == wanted:
            return sample
    return None
