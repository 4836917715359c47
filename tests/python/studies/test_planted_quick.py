"""PlantedBench in short: one fault set, 2,000 calls. On it the default way of asking detects 5 of 9 reachable faults
(9 at three pairs; FDR .105, 10.4 families), at least two more than the narrow questioner that is simply asked. The
bounds would be missed by a broken part; each was broken once, and then the default way had

    hints that are not in the prompt                  3 detected, 7.4 families
    a verifier that calls all answers right           0 detected, FDR 0
    a bandit that sees no verdicts                    no hint with a failure (and 6 detected: follow-ups do most of it)
    failures that are not followed up                 2 detected, 6 at three pairs, FDR .040

and, of hints with a gradient at a large rate (FDR .514, or .448 where a processor has AVX2 only; without it .230),

    a memory for which nothing is new                 FDR .232
    a reward for what was answered rightly            FDR .118
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlmprobe.grpo.options import DEFAULT_ADVANTAGES
from vlmprobe.studies.plantedbench.faults import at_random
from vlmprobe.studies.plantedbench.run import Run, run_one
from vlmprobe.studies.plantedbench.settings import Settings
from vlmprobe.studies.plantedbench.trained import TRAINED, hinted_rl

METHODS = ("zero-shot", "default")


@pytest.fixture(scope="module")
def found(tmp_path_factory, one_thread):
    folder = tmp_path_factory.mktemp("bench")
    runs = [Run(method=name, faults=at_random(201), seed=0, settings=Settings(budget=2000)) for name in METHODS]
    return {run.method: run_one(run, folder) for run in runs}


def test_the_narrow_questioner_asks_valid_questions_of_few_kinds(found):
    asked = found["zero-shot"]
    assert asked["answerer_calls"] == 2000 and 0.78 < asked["qvr"] < 0.9
    assert 0.24 < asked["ld"] < 0.34 and 4 < asked["families"] < 7.5


def test_the_default_way_of_asking_finds_more_kinds_of_failure_at_equal_calls(found):
    asked, default = found["zero-shot"], found["default"]
    assert default["answerer_calls"] == 2000 and default["reachable"] == asked["reachable"] == 9
    assert default["families"] > 9 and 0.4 < default["qvr"] < 0.65
    assert default["fdr"] > 0.05 and default["fdr"] > 1.5 * asked["fdr"]
    assert default["detected_10"] >= 4 and default["detected_10"] >= asked["detected_10"] + 2
    assert default["detected_3"] >= asked["detected_3"] + 3
    hints = default["hints"]
    assert sum(each["n"] for each in hints) > 2000 and sum(each["failures"] for each in hints) > 100


def test_a_gradient_finds_more_of_what_an_answerer_with_errors_of_its_own_gets_wrong(tmp_path, one_thread, monkeypatch):
    def eager(questioner, name):
        method = hinted_rl(questioner, name)
        return replace(method, options=replace(method.options, learning_rate=5e-4, advantages=DEFAULT_ADVANTAGES))

    monkeypatch.setitem(TRAINED, "hinted-rl", eager)
    found = run_one(
        Run(method="hinted-rl", faults=at_random(201), seed=0, settings=Settings(budget=2000, answerer="small")),
        tmp_path,
    )
    assert found["answerer_calls"] == 2000 and found["fdr"] > 0.35
