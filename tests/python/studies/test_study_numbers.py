"""Numbers of an arm that `vlmprobe reproduce` has run, and of several seeds together."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vlmprobe.ledger import QuestionRecord, RecordedQuestions, VerdictRecord
from vlmprobe.metrics import Estimate
from vlmprobe.studies.claims import CLAIMS, as_printed
from vlmprobe.studies.comparisons import Above
from vlmprobe.studies.numbers import UNKNOWN, Outcome, combined, over_seeds
from vlmprobe.studies.plan import SMALL, arms
from vlmprobe.studies.tables import published, tables


def test_several_seeds_have_an_interval_for_other_seeds_and_other_pictures():
    one = Estimate(0.5, 0.4, 0.7, 10, 1, 5)
    assert over_seeds([one]) == one
    alike = over_seeds([one, one])  # seeds that agree still have pictures in common
    assert (alike.value, alike.low, alike.high) == pytest.approx((0.5, 0.4, 0.7))
    assert (alike.n, alike.n_unscored, alike.clusters) == (20, 2, 5)
    apart = over_seeds([replace(one, value=0.45, low=0.35, high=0.65), replace(one, value=0.55, low=0.45, high=0.75)])
    seeds = 12.7062 * 0.0707107 / 2**0.5  # Student's t with one degree of freedom
    assert apart.low == 0.0 and apart.high == pytest.approx(0.5 + math.hypot(seeds, 0.2), rel=1e-4)
    assert over_seeds([replace(one, value=0.45), replace(one, value=0.55)], most=1.0).high == 1.0
    assert over_seeds([one, replace(one, n=8)], growing=True).n == 8
    without = over_seeds([replace(one, low=math.nan, high=math.nan), replace(one, value=0.7, low=math.nan)])
    assert without.value == pytest.approx(0.6) and without.high - 0.6 == pytest.approx(12.7062 * 0.1, rel=1e-4)
    assert combined([(0.3, math.nan, math.nan)]) == (0.3, -math.inf, math.inf)
    unknown = over_seeds([one, UNKNOWN])
    assert math.isnan(unknown.value) and unknown.high == math.inf
    strict = combined([(0.5, 0.4, 0.7)], confidence=0.99)
    assert strict[1:] == pytest.approx((0.5 - 0.1 * 2.5758 / 1.96, 0.5 + 0.2 * 2.5758 / 1.96), rel=1e-4)


def question(sequence, *names, program=None, correct=True):
    criteria = dict.fromkeys(("grammatical", "atomic", "grounded", "objective"), True)
    verdict = VerdictRecord(**criteria, correct=correct, judge="a")
    notes = {"skills": list(names), "program": program}
    return QuestionRecord(sequence=sequence, slot=0, text="a", status="ok", verdict=verdict, annotations=notes)


def outcome(rows, **scale):
    found = Outcome(arms(SMALL)[0], Path(), SMALL.changed({"above": 1, **scale}), None)
    found.__dict__["tally"] = RecordedQuestions(rows)
    return found


def test_skills_of_k_questions_a_picture_are_those_of_its_first_sequence():
    rows = [(0, question(0, "a")), (0, question(0, "b")), (1, question(1, "a")), (0, question(2, "b"))]
    one = outcome(rows)
    assert one.once == ([["a"], ["b"], ["a"]], [0, 0, 1])
    ((value, *_),) = Above("skills_once", "more", "less").seeds({"more": [one], "less": [outcome(rows[2:])]})
    assert value == 1  # a has more than one question


def test_failing_programs_are_counted_at_equal_n_of_what_was_answered():
    rows = [(i, question(i, program=f"p{i % 7}", correct=i % 2 == 0)) for i in range(40)]
    unanswered = [(i, question(i, program="none", correct=None)) for i in range(40, 60)]
    found = outcome(rows + unanswered, equal_n=30)._different("program")
    assert found.n == 30 and found.value == 7 and found.low <= 7


@pytest.mark.parametrize("pictures, interaction", [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("training", [0.0, 0.05, 0.5])
def test_the_interval_over_seeds_covers_the_mean_of_other_seeds_on_other_pictures(training, pictures, interaction):
    rng, runs, seeds, m = np.random.default_rng(0), 2000, 5, 40
    shared = pictures * rng.standard_normal((runs, 1, m))
    own = interaction * rng.standard_normal((runs, seeds, m))
    rows = training * rng.standard_normal((runs, seeds, 1)) + shared + own
    values, reaches = rows.mean(-1), 2.0227 * rows.std(-1, ddof=1) / m**0.5
    inside = 0
    for value, reach in zip(values, reaches, strict=True):
        _, low, high = combined([(v, v - r, v + r) for v, r in zip(value.tolist(), reach.tolist(), strict=True)])
        inside += low <= 0 <= high
    assert inside / runs > 0.94  # 95 % less two standard errors of 2,000 runs


def test_a_table_of_k_is_by_the_arms_own_k_and_the_papers_row_of_that_k(monkeypatch):
    scale = SMALL.changed({"k": 4, "prefix_length": 3})
    planned = {arm.name: arm for arm in arms(scale, tables=(3, 4))}
    assert {name: arm.k for name, arm in planned.items() if 3 in arm.tables} == {"RL": 4, "RL k=1": 1, "RL k=2": 2}
    outcomes = {name: [Outcome(arm, Path(), scale, None)] for name, arm in planned.items()}
    monkeypatch.setattr("vlmprobe.studies.tables.numbers", lambda *_: {})
    monkeypatch.setattr("vlmprobe.studies.tables.unscored", lambda *_: [])
    of_k, of_length = tables(outcomes, only=(3, 4), world=True)
    printed = published()["table-3"]
    assert [(row["labels"], row["paper"].get("fdr")) for row in of_k["rows"]] == [
        ([label], printed[name]["fdr"]) for label, name in (("1", "RL k=1"), ("2", "RL"), ("4", "RL k=4"))
    ]
    assert [row["labels"] for row in of_length["rows"]] == [["1"], ["2"], ["3"], ["4"]]


def test_claims_about_k_and_l_want_the_papers():
    def told(**change):
        scale = SMALL.changed(change)
        outcomes = {arm.name: [Outcome(arm, Path(), scale, None)] for arm in arms(scale)}
        return {claim.id for claim in CLAIMS if claim.arms <= outcomes.keys() and as_printed(claim, outcomes)}

    every = {claim.id for claim in CLAIMS}
    assert told() == every
    assert every - told(prefix_length=5) == {"prefix-1", "prefix-2"}
    assert every - told(k=8, held_out=150) == {"k-skills", "k-fdr"}


@pytest.mark.parametrize(
    "change, said",
    [
        ({"k": 8}, r"held_out: expected at most n/8 = 150, or an arm would not reach every picture, got 300"),
        ({"held_out": 301}, r"held_out: expected at most n/4 = 300"),
        ({"judge_pool": "no"}, r"judge_pool: expected true or false, got 'no'"),
        ({"credit": "all"}, r"credit: expected sequence or question, got 'all'"),
        ({"above": -3}, r"above: expected at least 1, got -3"),
    ],
)
def test_a_scale_that_cannot_be_run_is_refused(change, said):
    with pytest.raises(ValueError, match=r"^\[Scale\] " + said):
        SMALL.changed(change)
