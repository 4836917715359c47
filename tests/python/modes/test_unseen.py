"""How many kinds are unseen, and when one may stop: by hand, and over simulated runs whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vlmprobe.modes.asked import Asked
from vlmprobe.modes.concepts import Concept, words_of
from vlmprobe.modes.rules import Rule
from vlmprobe.modes.unseen import AHEAD, FEW, arrivals, chao2, good_turing, unseen

RUNS = 300


def incidence(rng, rates, pictures):
    """Kinds that fail on each of some pictures."""
    return rng.random((pictures, len(rates))) < rates


def counts(seen):
    on = seen.sum(0)
    return int((on > 0).sum()), int((on == 1).sum()), int((on == 2).sum()), int(on.sum())


def test_chao2_and_coverage_by_hand():
    # S 10, q1 4, q2 2, m 8: 10 + 7/8 * 4 * 3 / (2 * 3) = 11.75
    assert chao2(10, 4, 2, 8)[0] == pytest.approx(11.75)
    # u 20: 1 - 4/20 * (7 * 4) / (7 * 4 + 2 * 2) = 1 - .2 * 28/32
    assert good_turing(20, 4, 2, 8) == pytest.approx(0.825)
    assert good_turing(5, 0, 2, 8) == 1.0 and math.isnan(good_turing(0, 0, 0, 8))


@pytest.mark.parametrize(
    "counted", [(0, 0, 0, 0), (0, 0, 0, 5), (3, 0, 0, 5), (1, 1, 0, 1), (5, 5, 0, 5), (9, 4, 3, 40)]
)
def test_richness_is_at_least_what_was_seen_and_inside_its_interval(counted):
    value, low, high = chao2(*counted)
    assert counted[0] <= low <= value <= high


def test_the_interval_of_richness_covers_the_truth_where_kinds_are_about_alike():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(RUNS):
        rates = rng.uniform(0.01, 0.03, 20)
        seen, q1, q2, _ = counts(incidence(rng, rates, 128))
        _, low, high = chao2(seen, q1, q2, 128)
        covered += low - 1e-9 <= len(rates) <= high + 1e-9
    assert covered / RUNS >= 0.85


def test_coverage_is_the_share_of_failures_to_come_of_kinds_that_were_seen():
    rng, off = np.random.default_rng(1), []
    for _ in range(RUNS):
        rates = 0.05 * rng.random(40) ** 2
        found = incidence(rng, rates, 100)
        _, q1, q2, u = counts(found)
        off.append(good_turing(u, q1, q2, 100) - rates[found.any(0)].sum() / rates.sum())
    assert abs(np.mean(off)) < 0.01 and np.std(off) < 0.1


def run_of(rng, rates, calls):
    """Kinds of each call; -1 where it did not fail."""
    return rng.choice([*range(len(rates)), -1], size=calls, p=[*rates, 1 - rates.sum()])


def looked_at(kinds, every):
    """Places at which the rule says to stop, looked at every so many calls."""
    told = [kind if kind >= 0 else None for kind in kinds.tolist()]
    return next((n for n in range(every, len(told) + 1, every) if arrivals(told[:n])[1] < FEW), None)


def test_the_stopping_rule_errs_in_at_most_5_of_100_runs_though_it_is_looked_at_all_the_time():
    rng, wrong, stopped = np.random.default_rng(2), 0, 0
    for _ in range(120):
        rates = np.exp(rng.uniform(np.log(2e-4), np.log(5e-3), 10))
        kinds = run_of(rng, rates, 24_000)
        at = looked_at(kinds, every=2000)
        if at is not None:
            stopped += 1
            unseen = rates[~np.isin(np.arange(10), kinds[:at])]
            wrong += float((1 - (1 - unseen) ** AHEAD).sum()) >= FEW
    assert stopped > 60 and wrong / 120 <= 0.05


def failure(text, key, *, wrong=True):
    return Asked(image=0, key=key, text=text, valid=True, wrong=wrong, concepts=words_of(text))


RED = Rule.of([Concept("word", "red")])


def test_failures_of_no_mode_are_of_its_kind_at_least_and_of_their_own_at_most():
    """Of a mode on three pictures and two that share few words: one kind at least, and three that were seen."""
    judged = [failure("red circles", str(i)) for i in range(3)]
    judged += [failure("any striped star above", "4"), failure("which size has it", "5")]
    found = unseen(judged, [RED])
    assert found.kinds == 3 and found.richness_low == 1 and found.richness_high > 3 and not found.doubts
    alike = unseen([*judged[:3], failure("any striped star above", "4"), failure("any striped star", "5")], [RED])
    assert alike.kinds == 2


def test_it_says_when_the_number_of_kinds_is_not_to_be_trusted():
    errors = [failure(f"word{i} thing{i}", str(i)) for i in range(8)]
    found = unseen([*[failure("red circles", "a")] * 3, *errors], [RED])
    assert [text.split(",")[0] for text in found.doubts] == [
        "More than half of the failures to come are expected to be in words of which no failure was seen",
        "More than half of the failures belong to no mode",
    ]
    assert unseen([failure("red circles", "a", wrong=False)], [RED]).doubts == []


def test_without_the_correction_for_looking_it_would_stop_sooner():
    kinds = [None] * 6000
    expected, most = arrivals(kinds)
    assert expected == 0 and 1000 * 3 / 6000 < most < 2.5
    assert arrivals([None] * 24_000)[1] < FEW and arrivals([None] * 100)[1] == math.inf
    assert math.isnan(arrivals([])[0])


def test_kinds_that_were_seen_once_are_expected_to_come_at_their_rate():
    rng, off = np.random.default_rng(3), []
    for _ in range(RUNS):
        rates = 0.002 * rng.random(30) ** 2
        kinds = run_of(rng, rates, 3000)
        unseen = rates[~np.isin(np.arange(30), kinds)]
        off.append(arrivals([kind if kind >= 0 else None for kind in kinds.tolist()])[0] - AHEAD * unseen.sum())
    assert abs(np.mean(off)) < 0.15
