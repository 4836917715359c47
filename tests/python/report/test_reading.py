"""Plain values become typed results, and what does not fit is named."""

import copy
import json
import math
import re

import pytest

from support import demo_results, paper_results
from vlmprobe.report import read_curves, read_results, read_summary
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
    assert read.after.failure == Estimate(value=0.3125, low=0.3125 * 0.82, high=0.3125 * 1.2, n=1401)
    assert read.arms["paper"].faults["count_many_off"].when == {"family": "count", "num_objects": {"min": 5}}
    assert read.arms["paper"].faults_at("detected") == 5 and read_summary({"before": {}}).before.faults_at("x") is None


def test_what_is_missing_or_not_finite_is_not_known():
    read = read_summary({"before": {"fdr": math.nan, "qvr": None, "vendi": math.inf, "more": "x"}, "versions": None})
    assert (read.before.fdr, read.before.qvr, read.before.vendi) == (None, None, None)
    assert read.versions == {} and read.after is None


def test_curves_are_lines_with_gaps():
    read = read_curves([{"step": 0, "kl": 1.0}, {"step": 2, "fdr": 0.5, "kl": None}, {"step": 3, "fdr": math.nan}])
    assert read.steps == [0, 2, 3]
    assert {key: [str(value) for value in line] for key, line in read.lines.items()} == {
        "kl": ["1.0", "nan", "nan"],
        "fdr": ["nan", "0.5", "nan"],
    }


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
        ({"arms": {}}, "summary: expected at least one of before, after and arms, got none"),
        ({"before": []}, "summary.before: expected an object, got list"),
        ({"before": {"fdr": "high"}}, "summary.before.fdr: expected a number, got 'high'"),
        ({"before": {"fdr_interval": [0.1]}}, "fdr_interval: expected two ends, got 1"),
        (
            {"arms": {"a": {"faults": {"f": {"reached": "1"}}}}},
            "summary.arms['a'].faults['f'].reached: expected a number",
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(f"[report] {said}")):
            read_summary(content)
    with pytest.raises(ValueError, match=r"^\[report\] curves\[1\]: step: expected a whole number, got none"):
        read_curves([{"step": 0}, {"fdr": 0.1}])
    with pytest.raises(ValueError, match=r"^\[report\] curves\[0\]: fdr: expected a number, got 'x'"):
        read_curves([{"step": 0, "fdr": "x"}])
