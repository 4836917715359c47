"""Plain values become typed results, and what does not fit is named."""

import copy
import json
import math
import re

import pytest

from support import demo_results, paper_results
from vlmprobe.report import read_results, read_summary
from vlmprobe.report.results.numbers import Difference, Estimate


def test_results_are_read_all_the_way_down():
    read = read_results(paper_results.results())
    row = read.tables[0].rows[0]
    assert row.ours["qvr"] == Estimate(value=0.834, low=0.834 - 0.024, high=0.834 + 0.024, n=1024)
    assert row.paper["fdr"] == 32.20 and read.tables[0].columns[0].percent and read.seeds == [7]
    assert read.figures.shared_skills.methods[1].paper.exclusive == 17
    assert read.figures.scene.stages[2].questions[1].valid is None
    assert read.sensitivity.pairs[0].differences["verifier"] == Difference(value=0.18, low=0.15, high=0.21, p=0.02)
    assert read.sensitivity.rewards.means[0].reward == "paper"
    assert read.settings["questions per image"] == [1, 2, 4] and read.settings["resumed"] is False


def test_a_summary_is_read_all_the_way_down():
    read = read_summary(demo_results.summary())
    assert read.arms["default"].failure == Estimate(value=0.3125, low=0.3125 * 0.82, high=0.3125 * 1.2, n=3591)
    assert read.planted["count_many_off"].when == {"family": "count", "num_objects": {"min": 5}}
    assert read.arms["paper"].faults["left_right_swap"].calls_to_10 is None and read.hints[0].failures == 9
    assert read.arms["zero-shot"].curve[1] == [100, 1, 1] and read.calls == 3000


def test_what_is_missing_or_not_finite_is_not_known():
    arms = {"default": {"fdr": math.nan, "qvr": None, "seconds": math.inf, "more": "x"}}
    read = read_summary({"arms": arms, "versions": None})
    default = read.arms["default"]
    assert (default.fdr, default.qvr, default.seconds, default.detected_10) == (None, None, None, None)
    assert read.versions == {} and read.calls is None


def test_the_record_in_the_docs_is_read(pytestconfig):
    path = pytestconfig.rootpath / "docs" / "results" / "reproduce" / "results.json"
    assert read_results(json.loads(path.read_text())).tables[0].id == "table-1"


def _changed(value, *path):
    """The made-up results with a value at a place."""
    results = copy.deepcopy(paper_results.results())
    inner = results
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return results


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["title"], None, "results: expected 'title', got settings, seeds, notes"),
        (["figures"], [], "results.figures: expected an object, got list"),
        (
            ["tables", 0, "rows", 1, "ours", "qvr", "n"],
            "x",
            "results.tables[0].rows[1].ours['qvr'].n: expected a number, got 'x'",
        ),
        (
            ["tables", 0, "rows", 1, "paper", "qvr"],
            True,
            "results.tables[0].rows[1].paper['qvr']: expected a number, got True",
        ),
        (["tables", 1, "labels"], "method", "results.tables[1].labels: expected a list, got 'method'"),
        (
            ["tables", 0, "columns", 0, "percent"],
            1,
            "results.tables[0].columns[0].percent: expected true or false, got 1",
        ),
        (
            ["figures", "figure-6", "steps"],
            [0, 1.5],
            "results.figures.figure-6.steps[1]: expected a whole number, got 1.5",
        ),
        (["claims", 0, "id"], 3, "results.claims[0].id: expected a text, got 3"),
    ],
)
def test_what_does_not_fit_is_named(path, value, said):
    with pytest.raises(ValueError, match=re.escape(f"[report] {said}")):
        read_results(_changed(value, *path))


def test_a_summary_that_does_not_fit_is_named():
    for content, said in (
        ({"arms": {}}, "summary.arms: expected at least one, got none"),
        ({"seed": 1}, "summary: expected 'arms', got seed"),
        ({"arms": {"a": []}}, "summary.arms['a']: expected an object, got list"),
        ({"arms": {"a": {"fdr": "high"}}}, "summary.arms['a'].fdr: expected a number, got 'high'"),
        ({"arms": {"a": {"fdr_interval": [0.1]}}}, "fdr_interval: expected two ends, got 1"),
        ({"arms": {"a": {"curve": [[1, 2]]}}}, "curve: expected [calls, faults, faults], got 2 numbers"),
        (
            {"arms": {"a": {"faults": {"f": {"reached": "1"}}}}},
            "summary.arms['a'].faults['f'].reached: expected a number",
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(f"[report] {said}")):
            read_summary(content)
