"""How good failure modes are, on a small run of the world with two planted faults; each stage is broken once, and the
numbers fall. At the best size F1 of the modes is .71 and that of the skills .04; rules with other concepts have .00,
and skills of the primitives of other questions .01."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from support.taxonomies import shuffled
from vlmprobe.cli import main
from vlmprobe.methods.random_valid import RandomValid
from vlmprobe.methods.task import Task
from vlmprobe.methods.zero_shot import ZeroShot
from vlmprobe.models.embedder import HashedNgramEmbedder, shared_embedder
from vlmprobe.modes.find import find_modes
from vlmprobe.modes.rules import Rule
from vlmprobe.run.directory import RunDirectory
from vlmprobe.studies.modesbench import instances as uniform
from vlmprobe.studies.modesbench import run as bench
from vlmprobe.studies.modesbench.instances import instances
from vlmprobe.studies.modesbench.profile import fits
from vlmprobe.studies.modesbench.rivals import by_skills
from vlmprobe.studies.modesbench.settings import CONDITIONS, runs_of
from vlmprobe.studies.modesbench.shrunk import shrunk_of
from vlmprobe.studies.plantedbench import named as truth
from vlmprobe.studies.plantedbench.faults import FaultList
from vlmprobe.studies.plantedbench.named import told_of
from vlmprobe.taxonomy.again import named_again
from vlmprobe.taxonomy.primitives import primitives
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer
from vlmprobe.world.source import POOL_SEED, WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

pytestmark = pytest.mark.usefixtures("one_thread")
PLANTED = FaultList(
    name="two",
    json="""[
  {"id": "red counts", "when": {"family": "count", "color": "red"}, "effect": "off_by_one"},
  {"id": "leftmost star", "when": {"family": "extreme", "relation": "left", "answer": "star"}, "effect": "other"}
]""",
)
IDS = ("red counts", "leftmost star")
IMAGES = WorldImages(64, seed=POOL_SEED)


@pytest.fixture(scope="module", autouse=True)
def few_scenes():
    """The truth about each mode, and instances, from fewer questions."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(truth, "SCENES", 200)
        yield


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The modes of a run, whose ledger stays open."""
    answerer = FaultyAnswerer(ExecutingAnswerer(), PLANTED.planted())
    with RunDirectory(tmp_path_factory.mktemp("run") / "run", quiet=True) as folder:
        task = Task(
            images=IMAGES, answerer=answerer, verifier=OracleVerifier(), calls=2000, embedder=HashedNgramEmbedder(),
            ledger=folder.ledger, group_size=2, annotate=annotator(answerer),
        )  # fmt: skip
        ZeroShot(asker=RandomValid(), name="random-valid").run(task)
        yield told_of(task, "random-valid", calls=100)


@pytest.fixture(scope="module")
def some():
    return instances(PLANTED.planted())


def best(listed, some):
    """F1 at the best size."""
    planted = [{i for i, each in enumerate(some) if fault in each.reached} for fault in IDS]
    return max(fit.f1 for fit in fits(listed, planted, [each.weight for each in some]))


def test_weights_of_instances_are_the_questions_that_were_drawn(some):
    assert abs(sum(each.weight for each in some) - 200 * uniform.EACH) < uniform.THINNED
    reached = [each for each in some if each.reached]
    assert {each.weight for each in reached} == {1} and 20 < len(reached) < len(some) / 2


def test_modes_fit_the_planted_weaknesses_better_than_a_table_by_skill(told, some):
    ours, theirs = (
        best(bench.by_modes(told, some), some),
        by_skills(told.asked, IMAGES, some, shared_embedder("hashed")),
    )
    assert ours > 0.6 and 0 < best(theirs["skills"], some) < ours - 0.3
    assert 0 < best(theirs["meta-skills"], some) < ours - 0.3


def test_rules_with_other_concepts_fit_nothing(told, some):
    """Naming broken: each rule has the concepts of another question."""
    draw, rows = random.Random(0), [each.concepts for each in told.asked if each.valid]
    wrong = [
        replace(mode, rule=Rule.of(*([each] for each in draw.sample(sorted(draw.choice(rows)), 2))))
        for mode in told.modes.modes
    ]
    broken = replace(told, modes=replace(told.modes, modes=wrong))
    assert best(bench.by_modes(broken, some), some) < 0.3


def test_shuffled_verdicts_have_no_modes(told):
    """Finding broken: the verdicts are those of other questions."""
    valid = [each for each in told.asked if each.valid]
    wrong = [each.wrong for each in valid]
    random.Random(1).shuffle(wrong)
    mixed = [replace(each, wrong=one) for each, one in zip(valid, wrong, strict=True)]
    assert told.modes.holding and not [mode for mode in find_modes(mixed) if mode.state == "held"]


def test_primitives_of_other_questions_make_a_table_that_fits_nothing(told, some, monkeypatch):
    """Stage 1 of the taxonomy broken."""
    embedder = shared_embedder("hashed")
    whole = best(by_skills(told.asked, IMAGES, some, embedder)["skills"], some)
    monkeypatch.setattr("vlmprobe.taxonomy.build.primitives", shuffled(primitives))
    monkeypatch.setattr("vlmprobe.taxonomy.build.named_again", shuffled(named_again))
    assert best(by_skills(told.asked, IMAGES, some, embedder)["skills"], some) < whole / 2


def test_examples_become_smaller_and_fail_still(told):
    found = shrunk_of(told, IMAGES, told.roles.answerer, calls=200)
    assert len(found) >= 2 and all(each["failed"] and each["fails"] and each["same_fault"] for each in found)
    assert min(each["area"][1] for each in found) < 64 * 64 / 2 and all(each["area"][0] == 64 * 64 for each in found)
    assert all(each["words"][1] <= each["words"][0] for each in found)


def test_a_run_has_all_numbers(told, monkeypatch):
    monkeypatch.setattr(bench, "shared_embedder", lambda name: shared_embedder("hashed"))
    monkeypatch.setattr(bench, "by_topics", lambda *args: [])
    [run] = runs_of("executing", [PLANTED], budget=2000, fresh=0.05, seed=0)
    run = replace(run, settings=replace(run.settings, pool=64))
    faults = {"red counts": {"detected": 12}, "leftmost star": {"detected": 9}}
    modes = [{"fault": "red counts", "precision": 0.9, "coverage": 0.85}]
    found = bench.numbers(run, told, {"faults": faults, "mode_list": modes, "reachable": 2})
    assert found["told"] == {"red counts": {"named": 0.85, "nameable": True}} and found["kinds"] == 2
    assert list(found["profiles"]) == ["modes", "topics", "skills", "meta-skills"]
    assert {fit[3] for fit in found["profiles"]["topics"]} == {0.0}
    assert found["unseen"]["richness_low"] <= 2 <= found["unseen"]["richness_high"]


def test_the_command_makes_its_runs_once_and_writes_a_table_and_a_figure(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "shared_embedder", lambda name: shared_embedder("hashed"))
    monkeypatch.setattr(bench, "by_topics", lambda *args: [])
    monkeypatch.setattr("vlmprobe.cli.modesbench.check_extras", lambda *extras: None)
    words = ["modesbench", "--random", "3", "--budget", "120", "--condition", "executing", "control", "--jobs", "1"]
    assert main([*words, "--run", str(tmp_path)]) == 0
    first = capsys.readouterr()
    assert first.out.splitlines()[-1] == str(tmp_path / "table.md") and "1 of 1 runs to make" in first.err
    assert "runs without a mode" in first.out and (tmp_path / "figure.svg").read_text().startswith("<?xml")
    assert (tmp_path / "control" / "random-3" / "default-0.json").is_file()
    assert main([*words, "--run", str(tmp_path), "--json"]) == 0
    again = capsys.readouterr()
    assert "0 of 1 runs to make" in again.err
    rows = {(row["section"], row["name"]): row["by"] for row in json.loads(again.out)}
    assert rows["modes", "runs without a mode"]["control"]["value"] == 1.0


def test_a_missing_package_is_named_before_a_run_begins(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vlmprobe._util.optional.installed", lambda name: name != "bertopic")
    assert main(["modesbench", "--random", "3", "--run", str(tmp_path)]) == 2
    assert "bertopic is not installed; it comes with the extra 'topics'" in capsys.readouterr().err
    assert main(["modesbench", "--random", "3", "--seed", "-1", "--run", str(tmp_path)]) == 2
    assert "[modesbench] seed: expected 0 to 2**32 - 1, got -1" in capsys.readouterr().err


def test_conditions_differ_in_what_they_say():
    [control] = runs_of("noisy-control", [PLANTED], budget=100, fresh=0.1, seed=0)
    assert control.settings.control and control.settings.noise == 0.9 and control.settings.asking == 90
    assert list(CONDITIONS) == ["executing", "words", "control", "noisy", "noisy-control", "tiny"]
