"""Which questions are labelled: Neyman's allocation, nested orders, and estimates that are not biased by either."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from vlmprobe import metrics
from vlmprobe.metrics.judged import INVALID, RIGHT, UNSCORED, WRONG
from vlmprobe.review.choose import allocation, draw, spread


def test_a_strata_s_spread_by_hand():
    # R = 100/400. Judged right (value -1/4): truth wrong (3/4) moves by 1, truth invalid (0) by 1/4.
    counts = {INVALID: 600, RIGHT: 300, WRONG: 100}
    assert spread(RIGHT, counts) == pytest.approx(math.sqrt(0.1 * (1**2 + 0.25**2) / 2))
    assert spread(WRONG, counts) == pytest.approx(math.sqrt(0.1 * (0.75**2 + 1**2) / 2))
    assert spread(INVALID, counts) == pytest.approx(math.sqrt(0.1 * (0.25**2 + 0.75**2) / 2))


def test_more_are_drawn_where_they_move_the_rate_more():
    sizes = allocation({INVALID: 500, RIGHT: 500, WRONG: 500}, 90)
    assert sum(sizes.values()) == 90 and sizes[WRONG] >= sizes[RIGHT] > sizes[INVALID]
    shares = {h: spread(h, {INVALID: 500, RIGHT: 500, WRONG: 500}) for h in sizes}
    for h in sizes:
        assert abs(sizes[h] - 90 * shares[h] / sum(shares.values())) < 1


@pytest.mark.parametrize(
    ("counts", "items", "sizes"),
    [
        ({INVALID: 5, RIGHT: 1, WRONG: 0}, 100, {INVALID: 5, RIGHT: 1, WRONG: 0}),
        ({INVALID: 50, RIGHT: 50, WRONG: 50}, 3, {INVALID: 0, RIGHT: 1, WRONG: 2}),
        ({INVALID: 1000, RIGHT: 1000, WRONG: 1}, 5, {INVALID: 2, RIGHT: 2, WRONG: 1}),
    ],
)
def test_small_strata_and_few_items(counts, items, sizes):
    assert allocation(counts, items) == sizes


def test_each_has_its_probability_and_those_without_a_verdict_are_not_drawn():
    judged = [INVALID] * 300 + [RIGHT] * 200 + [WRONG] * 40 + [UNSCORED] * 50
    drawn = draw(judged, range(len(judged)), items=60)
    sizes = Counter(judged[each.row] for each in drawn)
    assert len({each.row for each in drawn}) == 60 and UNSCORED not in sizes
    assert all(each.probability == sizes[judged[each.row]] / judged.count(judged[each.row]) for each in drawn)


def test_every_beginning_has_its_share_of_each_stratum_and_more_items_add_to_fewer():
    judged = [INVALID] * 300 + [RIGHT] * 300 + [WRONG] * 300
    some, more = ({each.row for each in draw(judged, range(900), items=n)} for n in (60, 120))
    assert some < more
    order = [judged[each.row] for each in draw(judged, range(900), items=90)]
    whole = Counter(order)
    for end in (10, 30, 60):
        begun = Counter(order[:end])
        assert all(abs(begun[h] - end * whole[h] / 90) <= 1 for h in whole)


def test_the_corrected_rate_is_right_on_average_and_its_interval_holds():
    """A verifier that calls a third of the right answers wrong; 200 draws of 80 of 900 questions."""
    rng = np.random.default_rng(3)
    truth = rng.choice([INVALID, RIGHT, WRONG], 900, p=[0.4, 0.4, 0.2])
    judged = [WRONG if t == RIGHT and rng.random() < 1 / 3 else int(t) for t in truth]
    pictures = [i // 4 for i in range(900)]
    real = (truth == WRONG).sum() / (truth != INVALID).sum()
    values, drawn, held = [], [], 0
    for seed in range(200):
        labels: list[int | None] = [None] * 900
        chance = [1.0] * 900
        for each in draw(judged, range(900), items=80, seed=seed):
            labels[each.row], chance[each.row] = int(truth[each.row]), each.probability
        fdr = metrics.corrected_by_labels(judged, labels, cluster=pictures, draws=400).fdr
        values.append(fdr.value)
        drawn.append(metrics.from_sample(judged, labels, chance, cluster=pictures).fdr.value)
        held += fdr.low <= real <= fdr.high
    for found in (values, drawn):
        error = float(np.std(found) / math.sqrt(len(found)))
        assert abs(np.mean(found) - real) < 4 * error < 0.03
    assert held >= 180  # 95 % of 200 less 3 standard deviations
