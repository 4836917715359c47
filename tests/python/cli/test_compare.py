"""`vlmprobe compare` on a small probe of the world."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from support.frozen import counted_answerer
from support.world_probes import asked_at_random
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.world import ExecutingAnswerer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return asked_at_random(tmp_path_factory.mktemp("compare") / "probe", calls=400)


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def compared(capsys, *words):
    capsys.readouterr()
    assert cli.main(["compare", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def asked(folder):
    file = folder / "asked.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_an_answerer_that_is_always_right_fixes_every_failure_and_breaks_nothing(copy, tmp_path, capsys):
    (tmp_path / "right.yaml").write_text(yaml.safe_dump({"answerer": {"python": "vlmprobe.world:ExecutingAnswerer"}}))
    found = compared(capsys, copy, "--answerer", tmp_path / "right.yaml")
    whole = found["whole"]
    with Ledger(copy / "ledger.sqlite", read_only=True) as ledger:
        failures = {(each.image_key, each.question) for each in ledger.failures(run="probe")}
    assert whole["fixed"] == len(failures) > 5 and whole["regressed"] == whole["both_wrong"] == 0
    assert whole["n"] == whole["fixed"] + whole["both_right"] and found["left_out"] == 0
    assert whole["difference"]["value"] == pytest.approx(-len(failures) / whole["n"])
    low, high = whole["difference"]["interval"]
    assert low < -len(failures) / whole["n"] < high < 0
    assert found["second"]["answerer"] == ExecutingAnswerer.identity
    assert compared(capsys, copy, found["replies"]) == found


def test_the_same_run_has_no_difference(copy, capsys):
    whole = compared(capsys, copy, copy)["whole"]
    assert whole["fixed"] == whole["regressed"] == 0 and whole["mcnemar_p"] == 1.0 and whole["both_wrong"] > 5


def test_a_comparison_that_is_killed_goes_on_and_asks_nothing_twice(copy, capsys):
    name = counted_answerer(copy, stops_after=100)
    (copy / "other.yaml").write_text(yaml.safe_dump({"answerer": {"python": name}}))
    words = ["compare", str(copy), "--answerer", str(copy / "other.yaml")]
    assert cli.main(words) == 130
    before = len(asked(copy))
    (copy / "go").touch()
    found = compared(capsys, *words[1:])
    after = len(asked(copy))
    assert 100 <= before < after == found["whole"]["n"] + found["whole"]["unscored"]
    assert compared(capsys, *words[1:]) == found and len(asked(copy)) == after


def test_a_budget_takes_some_by_chance_and_more_calls_add_to_them(copy, capsys):
    (copy / "other.yaml").write_text(yaml.safe_dump({"answerer": {"python": counted_answerer(copy)}}))
    words = [copy, "--answerer", copy / "other.yaml"]
    some = compared(capsys, *words, "--calls", 30)
    first = asked(copy)
    assert len(first) == some["whole"]["n"] + some["whole"]["unscored"] == 30 and some["left_out"] > 0
    more = compared(capsys, *words, "--calls", 50)
    assert len(asked(copy)) == more["whole"]["n"] + more["whole"]["unscored"] == 50 and asked(copy)[:30] == first
    assert some["left_out"] - more["left_out"] == 20


def test_the_text_has_a_line_for_each_mode_and_ends_with_the_folder(copy, capsys):
    (copy / "other.yaml").write_text(yaml.safe_dump({"answerer": {"python": counted_answerer(copy)}}))
    found = compared(capsys, copy, "--answerer", copy / "other.yaml")
    assert cli.main(["compare", str(copy), found["replies"]]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Of {found['whole']['n']} questions, {found['whole']['fixed']} were fixed, ")
    assert lines[-1] == found["replies"]
    assert all(any(mode["name"] in line and mode["id"] in line for line in lines) for mode in found["modes"])


def test_the_run_that_is_compared_stays_as_it_was(copy, capsys):
    before = (copy / "ledger.sqlite").read_bytes()
    (copy / "other.yaml").write_text(yaml.safe_dump({"answerer": {"python": counted_answerer(copy)}}))
    compared(capsys, copy, "--answerer", copy / "other.yaml", "--calls", 50)
    assert (copy / "ledger.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "[compare] expected RUN_B or --answerer, got neither"),
        (["--answerer", "world", "--calls", "0"], "[compare] --calls: expected at least 1, got 0"),
        (["--answerer", "world", "--set", "seed=1"], "[compare] --set: expected answerer.KEY=VALUE, got 'seed=1'"),
        (["--answerer", "none.yaml"], "none.yaml"),
        (["nowhere"], "[RunDirectory] path: expected the folder of a run, got 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said(finished, capsys, words, message):
    assert cli.main(["compare", str(finished), *words]) == 2
    assert message in capsys.readouterr().err
