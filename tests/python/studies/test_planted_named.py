"""Which faults are named, by hand and on a run of the world; and the numbers fall where a stage is broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.asked import questions
from vlmprobe._native import core
from vlmprobe.ledger import Ledger
from vlmprobe.methods.random_valid import RandomValid
from vlmprobe.methods.task import Task
from vlmprobe.methods.zero_shot import ZeroShot
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.modes.concepts import Concept
from vlmprobe.modes.find import FindOptions, find_modes
from vlmprobe.modes.planned import Roles
from vlmprobe.modes.record import modes_of
from vlmprobe.modes.rules import Rule
from vlmprobe.run.directory import RunDirectory
from vlmprobe.studies.plantedbench import named as truth
from vlmprobe.studies.plantedbench.named import Failure, Told, named, numbers_of, told_of
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer
from vlmprobe.world.source import POOL_SEED, WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

FAULTS = {"a": frozenset({"red", "circle"}), "b": frozenset({"count", "star"})}
PLANTED = """[
  {"id": "red counts", "when": {"family": "count", "color": "red"}, "effect": "off_by_one"},
  {"id": "leftmost star", "when": {"family": "extreme", "relation": "left", "answer": "star"}, "effect": "other"}
]"""


def scored(modes, asked):
    """The numbers of some modes, where failures are of the first fault whose words they have."""
    failures = [
        Failure(each, next((name for name, words in FAULTS.items() if words <= {*each.text.split()}), None), False)
        for each in asked
        if each.wrong
    ]
    found = modes_of(asked, modes, calls=0, options=FindOptions())
    return named(told(found, failures, asked), list(FAULTS))


def told(found, failures, asked):
    """Modes of a run that the executing answerer was asked in."""
    roles = Roles(images=[], answerer=ExecutingAnswerer(), verifier=OracleVerifier(), ledger=Ledger(":memory:"), run="")
    return Told(modes=found, asked=asked, failures=failures, roles=roles, described=None)


@pytest.fixture(scope="module", autouse=True)
def few_scenes():
    """The truth about each mode from fewer questions."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(truth, "SCENES", 300)
        yield


@pytest.fixture(scope="module")
def asked():
    return questions(np.random.default_rng(0), 2000, faults=list(FAULTS.values()), base=0.003)


def test_both_faults_are_named_and_could_be(asked):
    found = scored(find_modes(asked), asked)
    assert found["named"] == found["named_95"] == found["nameable"] == found["modes"] == 2
    assert {mode["fault"] for mode in found["mode_list"]} == {"a", "b"}


def test_a_mode_that_an_answerer_does_not_have_is_false(asked):
    found = scored(find_modes(asked), asked)  # the executing answerer is always right about the world
    assert found["false_modes"] == 2 and all(mode["truth"]["base"] == 0 for mode in found["mode_list"])


def test_rules_that_were_changed_with_each_other_name_nothing(asked):
    modes = find_modes(asked)
    rules = [mode.rule for mode in modes if mode.state == "held"]
    wrong = [replace(mode, rule=Rule.of([Concept("word", "compare")], [Concept("word", "green")])) for mode in modes]
    assert len(rules) == 2 and scored(wrong, asked)["named"] == 0


def test_everything_in_one_mode_names_nothing(asked):
    one = replace(find_modes(asked)[0], rule=Rule.of([Concept("word", word) for word in ("red", "count", "star")]))
    found = scored([one], asked)
    assert found["named"] == 0 and found["named_50"] == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The numbers of a run of the world with two planted faults, and of the same without them."""
    found = {}
    for fires in (True, False):
        faults = core.world.FaultSet.parse(PLANTED) if fires else core.world.FaultSet.parse("[]")
        answerer = FaultyAnswerer(ExecutingAnswerer(), faults)
        with RunDirectory(tmp_path_factory.mktemp("run") / "run", quiet=True) as folder:
            task = Task(
                images=WorldImages(64, seed=POOL_SEED), answerer=answerer, verifier=OracleVerifier(), calls=2500,
                embedder=HashedNgramEmbedder(), ledger=folder.ledger, group_size=2, annotate=annotator(answerer),
            )  # fmt: skip
            ZeroShot(asker=RandomValid(), name="random-valid").run(task)
            detected = ["red counts", "leftmost star"]
            found[fires] = numbers_of(told_of(task, "random-valid", calls=200), detected)
            if fires:
                found["described"] = numbers_of(told_of(task, "random-valid", calls=200, described=True), detected)
    return found


def test_planted_faults_are_named_by_modes_that_the_truth_bears_out(run):
    found = run[True]
    assert found["named"] >= 1 and found["false_modes"] == 0 and 0 < found["confirm_calls"] <= 200
    best = {mode["fault"]: mode for mode in found["mode_list"]}
    assert best["red counts"]["truth"]["interval"][0] > 5 * best["red counts"]["truth"]["base"]
    assert all("red" in mode["name"] or "leftmost" in mode["name"] for mode in found["mode_list"])


def test_with_a_taxonomy_modes_speak_of_skills_and_the_truth_knows_them(run):
    found = run["described"]
    assert found["named"] >= 1 and found["false_modes"] == 0
    said = {concept["kind"] for mode in found["mode_list"] for part in mode["rule"] for concept in part}
    assert "label" in said and all(mode["truth"]["n"] > 0 for mode in found["mode_list"])


def test_an_answerer_without_faults_has_no_modes(run):
    found = run[False]
    assert (found["modes"], found["named"], found["nameable"], found["confirm_calls"]) == (0, 0, 0, 0)
