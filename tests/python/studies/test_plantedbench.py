"""PlantedBench: its numbers on questions whose hits are known by hand, masses against a count of its own, runs that
stop and go on, and methods compared by set."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from vlmprobe._native import core
from vlmprobe.cli import main
from vlmprobe.ledger import RecordedQuestions
from vlmprobe.ledger.records import AnswerRecord, QuestionRecord, VerdictRecord
from vlmprobe.methods.random_valid import RandomValid
from vlmprobe.studies.plantedbench import settings as ways
from vlmprobe.studies.plantedbench.compare import MEASURES, compare
from vlmprobe.studies.plantedbench.faults import COUNT, EACH, LEAST, MOST, at_random, masses_over, of_file
from vlmprobe.studies.plantedbench.run import Run, run_all, run_one
from vlmprobe.studies.plantedbench.score import score
from vlmprobe.studies.plantedbench.settings import Settings
from vlmprobe.world import sample_question
from vlmprobe.world.source import WorldImages, scene_of

KEYS = {
    "method", "reachable", "reached", "triggered", "detected_3", "detected_10", "answerer_calls", "questions_asked",
    "seconds", "faults",
}  # fmt: skip
SMALL = Settings(budget=90, pool=12, images_per_step=4)
COLORS = json.dumps([{"id": "colors", "when": {"family": "color"}, "effect": "other"}])
TIMES = ("seconds", "cpu_seconds")


def row(image, text, *, valid=True, wrong=False, reached=(), triggered=None):
    criteria = {"grammatical": True, "atomic": True, "grounded": valid, "objective": True}
    return image, QuestionRecord(
        sequence=0, slot=0, status="ok", text=text,
        verdict=VerdictRecord(**criteria, correct=not wrong if valid else None, judge="j"),
        answer=AnswerRecord(answerer="a", text="no") if valid else None,
        annotations={"family": text, "program": text, "reached": list(reached), "triggered": triggered},
    )  # fmt: skip


def asked(rows):
    found = RecordedQuestions()
    for image, question in rows:
        found.append(image, question)
    return found


def test_faults_are_counted_by_distinct_pairs_and_calls_by_answers():
    hit = {"wrong": True, "reached": ["a"], "triggered": "a"}
    found = score(
        asked([
            row(0, "p"),                                             # call 1
            row(0, "q", valid=False),                                # asked, and no call
            row(0, "q", **hit),                                      # call 2: the first hit of a
            row(0, "q", **hit),                                      # call 3: the same pair again
            row(1, "q", **hit),                                      # call 4
            row(2, "r", wrong=True, reached=["a", "b"], triggered="b"),  # call 5: a is reached, b triggered
            row(2, "s", reached=["b"], triggered="b"),               # call 6: the verifier missed it
            row(1, "t", **hit),                                      # call 7: the third pair of a
            row(1, "u", wrong=True),                                 # call 8: wrong, and no fault's
        ]),
        {"a": 0.004, "b": 0.0002, "c": 0.001}, budget=10,
    )  # fmt: skip
    a = {"mass": 0.004, "reached": 4, "triggered": 3, "detected": 3, "calls_to_first": 2, "calls_to_10": None}
    b = {"mass": 0.0002, "reached": 2, "triggered": 2, "detected": 1, "calls_to_first": 5, "calls_to_10": None}
    c = {"mass": 0.001, "reached": 0, "triggered": 0, "detected": 0, "calls_to_first": None, "calls_to_10": None}
    assert found["faults"] == {"a": a, "b": b, "c": c}
    assert (found["reachable"], found["reached"], found["triggered"]) == (2, 2, 2)
    assert (found["detected_3"], found["detected_10"]) == (1, 0)
    assert (found["answerer_calls"], found["questions_asked"]) == (8, 9)
    assert found["area_3"] == pytest.approx(0.3), "a was detected at 7 of 10 calls"
    assert found["area_10"] == 0
    assert found["curve"] == [[0, 0, 0], [7, 1, 0], [8, 1, 0]]
    assert found["qvr"] == pytest.approx(8 / 9) and found["fdr"] == pytest.approx(6 / 8)
    assert found["distinct_failing_programs"] == 4


def test_ten_pairs_are_ten_pictures_or_questions():
    hits = [row(i % 5, f"q{i // 5}", wrong=True, reached=["a"], triggered="a") for i in range(10)]
    assert score(asked(hits[:9]), {"a": 0.001}, budget=20)["detected_10"] == 0
    found = score(asked(hits), {"a": 0.001}, budget=20)
    assert found["detected_10"] == 1 and found["area_10"] == pytest.approx(0.5)


def test_the_mass_of_a_fault_is_its_share_of_the_questions_about_the_pool():
    images = WorldImages(20, seed=11)
    families = Counter(
        sample_question(scene_of(images[i]), 1, i, part).program.family for i in range(20) for part in range(EACH)
    )
    listed = [{"id": family, "when": {"family": family}, "effect": "other"} for family in ("color", "two_step")]
    never = {"id": "never", "when": {"family": "color", "answer": "7"}, "effect": "other"}
    masses = masses_over(core.world.FaultSet.parse(json.dumps([*listed, never])), images)
    assert masses == [families["color"] / (20 * EACH), families["two_step"] / (20 * EACH), 0.0]


def test_random_sets_have_ten_faults_of_the_stated_masses_the_rarest_first():
    found = at_random(5)
    assert found == at_random(5) and found.json != at_random(6).json
    faults = json.loads(found.json)
    assert len(faults) == COUNT == len({fault["id"] for fault in faults})
    assert all(1 <= len(fault["when"]) <= 3 for fault in faults)
    masses = found.planted().masses(40_000, 99)  # other questions than those that they were chosen by
    assert all(LEAST / 3 <= mass <= MOST * 1.5 for mass in masses)
    assert masses[0] < masses[-1] / 3, "log-uniform masses are far apart"


def test_a_run_ends_in_a_file_and_is_not_run_again(tmp_path):
    run = Run(method="random-valid", faults=at_random(1), seed=3, settings=SMALL)
    found = run_one(run, tmp_path)
    assert found.keys() >= KEYS and found["answerer_calls"] == 90 and found["faults_from"] == "random-1"
    assert [path.name for path in (tmp_path / "random-1").iterdir()] == ["random-valid-3.json"]
    assert run_all([run], tmp_path, jobs=1) == [found]
    file, dropped = tmp_path / "random-1" / "random-valid-3.json", {"of an older version, unset": None}
    file.write_text(json.dumps({**found, "settings": {**run.identity(), "settings": {**vars(SMALL), **dropped}}}))
    assert run_all([run], tmp_path, jobs=1)[0]["faults"] == found["faults"], "it is still the same run"
    other = Run(method="random-valid", faults=at_random(1), seed=3, settings=Settings(budget=91, pool=12))
    with pytest.raises(ValueError, match=r"expected a run with budget 91, got 90; name another folder"):
        run_all([other], tmp_path, jobs=1)


def test_sets_differ_in_what_is_asked_and_methods_on_a_set_do_not():
    runs = [Run(method=method, faults=at_random(i), seed=0, settings=SMALL) for i in (1, 2)
            for method in ("random-valid", "templates")]  # fmt: skip
    seeds = [run.asking_seed for run in runs]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]
    assert replace(runs[0], seed=1).asking_seed not in seeds


def test_a_run_that_is_stopped_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    class Stopping(RandomValid):
        stops = True

        def ask(self, images, *, step, **more):
            if step == 4 and self.stops:
                raise KeyboardInterrupt
            return super().ask(images, step=step, **more)

    monkeypatch.setitem(ways.ASKERS, "random-valid", Stopping)
    run = Run(method="random-valid", faults=at_random(1), seed=3, settings=SMALL)
    with pytest.raises(KeyboardInterrupt):
        run_one(run, tmp_path / "stopped")
    Stopping.stops = False
    rest, whole = run_one(run, tmp_path / "stopped"), run_one(run, tmp_path / "whole")
    assert {**rest, **dict.fromkeys(TIMES)} == {**whole, **dict.fromkeys(TIMES)}


def test_what_is_planted_is_found_and_in_a_control_nothing_is(tmp_path):
    (tmp_path / "colors.json").write_text(COLORS)
    faults = of_file(tmp_path / "colors.json")
    found = run_one(Run(method="templates", faults=faults, seed=0, settings=SMALL), tmp_path / "faulty")
    control = Settings(budget=90, pool=12, images_per_step=4, control=True)
    none = run_one(Run(method="templates", faults=faults, seed=0, settings=control), tmp_path / "control")
    [hit], [missed] = found["faults"].values(), none["faults"].values()
    assert hit["reached"] == hit["triggered"] == hit["detected"] >= 3
    assert missed["reached"] == hit["reached"] and missed["triggered"] == missed["detected"] == none["fdr"] == 0
    noisy = Settings(budget=90, pool=12, images_per_step=4, noise=0.8)
    seen = run_one(Run(method="templates", faults=faults, seed=0, settings=noisy), tmp_path / "noisy")
    assert seen["qvr"] < 1 and seen["fdr"] > found["fdr"], "a noisy verifier calls right answers wrong"


def test_failures_of_a_verifier_that_is_weak_are_said_to_be_its_own(tmp_path):
    faults = at_random(1)
    whole = Run(method="templates", faults=faults, seed=0, settings=SMALL)
    weak = Run(method="templates", faults=faults, seed=0, settings=replace(SMALL, weakness=COLORS))
    one, other = run_one(whole, tmp_path / "whole"), run_one(weak, tmp_path / "weak")
    assert one["false_failures"] == 0
    assert other["false_failures"] >= 3 and other["failures"] == one["failures"] + other["false_failures"]
    assert other["detected_3"] == one["detected_3"], "they are no fault's"


def result(method, faults, detected, seed=0):
    numbers = dict.fromkeys(MEASURES, 0) | {"detected_10": detected, "answerer_calls": 100}
    curve = [[0, 0, 0], [40, detected, detected], [100, detected, detected]]
    return {"method": method, "faults_from": faults, "seed": seed, "reachable": 10, "curve": curve, **numbers}


def test_methods_are_compared_by_set():
    zero, more = [3, 6, 1, 4, 5, 2], [4, 8, 2, 6, 6, 4]
    results = [result("zero-shot", f"s{i}", n) for i, n in enumerate(zero)]
    results += [result("bandit", f"s{i}", n) for i, n in enumerate(more)]
    first, second = compare(results, base="zero-shot")
    assert first.means["detected_10"].value == 3.5 and first.differences == {}
    difference = second.differences["detected_10"]
    assert difference.value == pytest.approx(1.5) and difference.clusters == 6
    assert 0 < difference.low < 1.5 < difference.high < 2.5, "sets differ by 7, the methods on a set by 1 or 2"
    assert second.curve[0] == (0, 0) and second.curve[-1] == (100, 5.0)
    with pytest.raises(ValueError, match=r"expected bandit on the sets and seeds of zero-shot, got others"):
        compare(results[:-1], base="zero-shot")
    with pytest.raises(ValueError, match=r"base: expected one of zero-shot, bandit, got 'none'"):
        compare(results, base="none")


def test_the_command_prints_one_run_as_json_and_several_as_a_table(tmp_path, capsys):
    common = ["plantedbench", "--budget", "60", "--pool", "8", "--run", str(tmp_path), "--jobs", "1"]
    assert main([*common, "--method", "random-valid", "--random", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= KEYS and found["method"] == "random-valid" and len(found["faults"]) == COUNT
    assert main([*common, "--method", "random-valid", "templates", "--random", "1", "2"]) == 0
    printed = capsys.readouterr()
    assert "3 of 4 runs to make" in printed.err
    assert printed.out.splitlines()[-1] == str(tmp_path / "table.md")
    assert "templates" in printed.out and "2 fault sets" in printed.out
    table = (tmp_path / "table.md").read_text()
    assert table.count("| templates |") == 1 and "![PlantedBench](figure.svg)" in table
    assert (tmp_path / "figure.svg").read_text().count("templates") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--random", "-1"], "[plantedbench] random: expected 0 to 2**32 - 1, got -1"),
        (["--random", "1", "1"], "[plantedbench] faults: expected sets of different names, got 'random-1' twice"),
        (["--random", "1", "--seed", "-2"], "[plantedbench] seed: expected 0 to 2**32 - 1, got -2"),
        (["--random", "1", "--base", "rl"], "[plantedbench] base: expected one of templates, got 'rl'"),
        (["--random", "1", "--noise", "2"], "[plantedbench] noise: expected a rate in [0.5, 1], got 2.0"),
        (["--random", "1", "--confirm", "1"], "[plantedbench] confirm: expected at least 1 and noise beside it, got 1"),
        (["--faults", "none.json"], "[load_faults]"),
    ],
)
def test_bad_input_is_said(tmp_path, capsys, words, said):
    assert main(["plantedbench", "--method", "templates", "--run", str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
