"""The law of what a narrow questioner asks most."""

from __future__ import annotations

import random
from collections import Counter

from vlmprobe import metrics, world
from vlmprobe._native import core
from vlmprobe.world import habits
from vlmprobe.world.source import WorldImages


def habitual(count: int, seed: int = 3):
    pool, draw = WorldImages(count // 2, seed=seed), random.Random(seed)
    return [(pool[i // 2].meta, habits.habitual_question(pool[i // 2].meta, draw)) for i in range(count)]


def test_habitual_questions_are_valid_and_of_the_family_that_they_say():
    for scene, sample in habitual(300):
        judged = world.judge(scene, sample.question)
        assert judged.valid and judged.program.family == sample.program.family


def test_families_and_beginnings_are_as_frequent_as_the_law_says():
    families = list(habits.FAMILIES)
    weights = [rank**-habits.FAMILY_EXPONENT for rank in range(1, len(families) + 1)]
    asked = habitual(2_000)
    counts = Counter(sample.program.family for _, sample in asked)
    for family, weight in zip(families[:5], weights, strict=False):
        expected = 2_000 * weight / sum(weights)
        assert abs(counts[family] - expected) < 4 * expected**0.5 + 40  # some scenes have no question of a family
    colors = [habits.beginning(sample.question) for _, sample in asked if sample.program.family == "color"]
    order = habits.beginnings()["color"]
    zipf = [rank**-habits.BEGINNING_EXPONENT for rank in range(1, len(order) + 1)]
    assert order[0] == "what color"
    assert abs(colors.count(order[0]) / len(colors) - zipf[0] / sum(zipf)) < 0.06  # n about 900, and as above
    assert colors.count(order[0]) > colors.count(order[1]) > colors.count(order[3])


def test_the_order_is_that_of_the_grammars_families_and_their_beginnings():
    assert sorted(habits.FAMILIES) == sorted(core.world.families)
    for family, favourite in habits.FAMILIES.items():
        order = habits.beginnings()[family]
        assert order[0] == favourite and len(order) == len(set(order)) > 4


def test_the_law_is_as_narrow_as_a_prompted_model():
    texts = [sample.question for _, sample in habitual(1_700)]
    assert 0.27 < metrics.prefix_entropy_normalized(texts) < 0.33
