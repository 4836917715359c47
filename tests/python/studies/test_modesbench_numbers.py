"""The numbers of the benchmark of failure modes, by hand: profiles, and what is counted over runs."""

from __future__ import annotations

import pytest

from vlmprobe.studies.modesbench.profile import fits
from vlmprobe.studies.modesbench.summary import curves, rows_of

WEIGHTS = [1, 1, 1, 1, 10, 10]


def test_recall_and_precision_of_a_profile_by_hand():
    # Planted: {0, 1}, {2, 3}. First of the list: {0, 1, 4}: of weight 12, 2 are planted; it covers all of one, none of
    # the other. Second: {2}: planted alone, and half of the other.
    one, two, *rest = fits([{0, 1, 4}, {2}], [{0, 1}, {2, 3}], WEIGHTS)
    assert (one.size, one.recall, one.precision) == (1, 0.5, pytest.approx(2 / 12))
    assert one.f1 == pytest.approx(2 * 0.5 * (1 / 6) / (0.5 + 1 / 6))
    assert (two.size, two.recall, two.precision) == (2, 0.75, pytest.approx((2 / 12 + 1) / 2))
    assert len(rest) == 18 and all((fit.recall, fit.precision) == (two.recall, two.precision) for fit in rest)


def test_a_profile_of_the_planted_ones_is_perfect_and_an_empty_one_nothing():
    planted = [{0, 1}, {2, 3}]
    assert fits(planted, planted, WEIGHTS)[1].f1 == 1.0
    assert {fit.f1 for fit in fits([], planted, WEIGHTS)} == {0.0}
    assert fits([set()], planted, WEIGHTS)[0].precision == 0.0


def test_without_a_planted_weakness_there_is_no_fit():
    with pytest.raises(ValueError, match=r"\[fits\] planted: expected at least one weakness that an instance tests"):
        fits([{0}], [set()], WEIGHTS)


def run(of, named, *, modes=1, false=0, trusted=True, kinds=10, shrunk=()):
    """A run's file, as far as it is looked at; `named` has (best level, whether it could be named) of each fault."""
    fit = [(size, 0.5, 0.5, 0.5) for size in range(1, 21)]
    return {
        "faults_from": of, "modes": modes, "mode_list": [{"false": i < false} for i in range(modes)],
        "told": {str(i): {"named": level, "nameable": could} for i, (level, could) in enumerate(named)},
        "profiles": {"modes": fit} if named else {}, "shrunk": list(shrunk), "kinds": kinds,
        "unseen": {"richness_low": 5, "richness_high": 12, "doubts": [] if trusted else ["Few."]},
    }  # fmt: skip


def example(words, area, *, fails=True):
    return {"words": words, "area": area, "failed": True, "fails": fails, "same_fault": True}


def numbers(runs):
    return {(row.section.partition(":")[0], row.name): row.by for row in rows_of(runs)}


def test_numbers_over_runs_by_hand():
    runs = {
        "first": [
            run("a", [(0.9, True), (0.6, True), (0.0, False)], modes=4, false=1, shrunk=[example((10, 4), (100, 60))]),
            run("b", [(0.96, False)], kinds=20, trusted=False, shrunk=[example((10, 8), (100, 10), fails=False)]),
        ],
        "control": [run("a", [], modes=0, kinds=0), run("b", [], modes=0, kinds=None)],
    }
    found = numbers(runs)
    faults = "detected faults"
    at = {name: by["first"] for (section, name), by in found.items() if section == faults}
    assert [(at[f"named at {level}"].value, at[f"named at {level}"].n) for level in ("0.5", "0.8", "0.95")] == [
        (0.75, 4), (0.5, 4), (0.25, 4),
    ]  # fmt: skip
    assert at["nameable"].value == 0.5
    assert (at["nameable named at 0.8"].value, at["others named at 0.8"].value) == (0.5, 0.5)
    assert found["modes", "false"]["first"].value == pytest.approx(1 / 5)
    assert found["modes", "runs without a mode"]["control"].value == 1.0
    assert found["shrunk examples", "question halved"]["first"].value == 0.5
    assert found["shrunk examples", "valid and wrong still"]["first"].value == 0.5
    kinds = {name: by["first"] for (section, name), by in found.items() if section == "number of kinds"}
    assert kinds["in the interval"].value == 0.5 and kinds["trusted"].value == 0.5
    assert kinds["trusted, in it"].value == 1.0 and kinds["not trusted, in it"].value == 0
    assert found["number of kinds", "in the interval"]["control"].n == 1


def test_curves_are_of_the_runs_that_have_a_profile():
    assert curves([run("a", [(1.0, True)]), run("b", [])])["modes"][0] == (1, 0.5)
    assert curves([run("a", [])]) == {}
