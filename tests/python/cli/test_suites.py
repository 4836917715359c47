"""`vlmprobe export --suite` and `vlmprobe evaluate` on a small probe of the world."""

from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree

import pytest
import yaml

from support.frozen import counted_answerer
from support.world_probes import asked_at_random
from vlmprobe import cli
from vlmprobe.exports.suite import read_suite
from vlmprobe.ledger import LabelRecord, Ledger

RIGHT = {"python": "vlmprobe.world:ExecutingAnswerer"}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return asked_at_random(tmp_path_factory.mktemp("suites") / "probe", calls=400)


@pytest.fixture(scope="module")
def suite(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("suites") / "world"
    assert cli.main(["export", str(finished), "--suite", str(folder), "--all", "--license", "cc0-1.0"]) == 0
    return folder


def config(folder, answerer):
    file = folder / "roles.yaml"
    file.write_text(yaml.safe_dump({"answerer": answerer, "verifier": "world"}))
    return file


def evaluated(capsys, suite, folder, *words, code=0):
    capsys.readouterr()
    said = ["evaluate", "--suite", str(suite), "--out", str(folder / "calls"), "--json", *map(str, words)]
    assert cli.main(said) == code
    return json.loads(capsys.readouterr().out)


def test_a_suite_has_the_runs_failures_with_the_truth_and_where_they_come_from(finished, suite):
    made = read_suite(suite)
    with Ledger(finished / "ledger.sqlite", read_only=True) as ledger:
        failures = {(each.image_key, each.question): each for each in ledger.failures(run="probe")}
        identities = ledger.runs()[0].identities
    assert {(item.key, item.question) for item in made.items} == set(failures) and len(failures) > 5
    assert made.about["provenance"]["models"] == identities and made.about["license"] == "cc0-1.0"
    for item in made.items:
        found = failures[item.key, item.question]
        assert (item.answer, item.reference) == (
            found.answer,
            found.annotations["truth"],
        ) and item.reference_by == "truth"


def test_without_all_it_has_the_failures_of_the_modes_alone(finished, suite, tmp_path, capsys):
    code = cli.main(["export", str(finished), "--suite", str(tmp_path / "modes")])
    every = read_suite(suite)
    told = [item for item in every.items if item.modes]
    if told:
        assert code == 0 and list(read_suite(tmp_path / "modes").items) == told and len(told) < len(every.items)
    else:
        assert code == 2 and "expected at least one confirmed failure" in capsys.readouterr().err


def test_what_people_say_takes_precedence(finished, suite, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    assert cli.main(["modes", str(copy)]) == 0  # what is written down knows nothing of labels
    with Ledger(copy / "ledger.sqlite") as ledger:
        first, second, *_ = ledger.failures(run="probe")
        place = {name: getattr(first, name) for name in ("run", "phase", "step", "sequence", "slot")}
        other = {name: getattr(second, name) for name in ("run", "phase", "step", "sequence", "slot")}
        right = LabelRecord(**place, annotator="ann", valid=True, correct=True)
        ledger.add_labels([right, LabelRecord(**other, annotator="ann", valid=True, correct=False)])
    assert cli.main(["export", str(copy), "--suite", str(tmp_path / "s"), "--all"]) == 0
    before, after = ({(each.key, each.question): each for each in read_suite(s).items} for s in (suite, tmp_path / "s"))
    assert before.keys() - after.keys() == {(first.image_key, first.question)}
    assert [pair for pair, each in after.items() if each.by_people] == [(second.image_key, second.question)]
    counts = [read_suite(each).about["provenance"]["failures"] for each in (suite, tmp_path / "s")]
    assert counts == [len(before), len(before) - 1]


def test_a_fine_tuning_set_has_the_truth_in_place_of_the_wrong_answer(finished, suite, tmp_path):
    """https://huggingface.co/docs/trl, dataset formats: messages with content parts, and a list of pictures."""
    file = tmp_path / "train.jsonl"
    assert cli.main(["export", str(finished), "--train", str(file), "--all"]) == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    items = {item.id: item for item in read_suite(suite).items}
    assert {row["id"] for row in rows} == set(items)
    for row in rows:
        asked, said = row["messages"]
        item, [picture] = items[row["id"]], row["images"]
        assert (asked["role"], said["role"]) == ("user", "assistant")
        assert asked["content"] == [{"type": "image"}, {"type": "text", "text": item.question}]
        assert said["content"] == [{"type": "text", "text": item.reference}] and item.reference != item.answer
        assert (tmp_path / picture).read_bytes() == (suite / item.picture).read_bytes()


def test_replay_adds_what_was_answered_rightly(finished, suite, tmp_path):
    file, n = tmp_path / "train.jsonl", len(read_suite(suite).items)
    assert cli.main(["export", str(finished), "--train", str(file), "--all", "--replay", "2"]) == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    kept = [row for row in rows if row["answer_by"] == "answered rightly"]
    assert (len(rows), len(kept), len({row["id"] for row in rows})) == (3 * n, 2 * n, 3 * n)
    with Ledger(finished / "ledger.sqlite", read_only=True) as ledger:
        right = {
            (each.text, each.annotations["truth"])
            for step in ledger.each_step("probe") for each in step.questions if each.verdict and each.verdict.correct
        }  # fmt: skip
    said = {tuple(message["content"][-1]["text"] for message in row["messages"]) for row in kept}
    assert said <= right


def test_the_answerer_that_failed_fails_again_and_one_that_is_right_passes(suite, tmp_path, capsys):
    found = evaluated(capsys, suite, tmp_path, "--world-answerer", "world", "--fail-under", 0.9, code=1)
    assert found["rate"]["value"] == 0 and found["rate"]["n"] == len(read_suite(suite).items)
    words = ["--config", config(tmp_path, RIGHT), "--fail-under", 1, "--junit", tmp_path / "junit.xml"]
    found = evaluated(capsys, suite, tmp_path / "right", *words)
    assert found["rate"]["value"] == 1 and found["rate"]["interval"][0] < 1 and found["unscored"] == 0
    top = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert top.get("failures") == "0" and int(top.get("tests")) == found["rate"]["n"]


def test_too_many_without_a_verdict_is_neither_passed_nor_failed(suite, tmp_path, capsys):
    (tmp_path / "mute.py").write_text("def answer(pictures, questions):\n    return [None] * len(questions)\n")
    words = ["--config", config(tmp_path, {"python": "mute:answer"}), "--fail-under", 0.9]
    found = evaluated(capsys, suite, tmp_path, *words, code=5)
    assert found["unscored"] == 1 and found["rate"]["value"] is None
    evaluated(capsys, suite, tmp_path, *words, "--max-unscored", 1, code=5)
    some = "def answer(pictures, questions):\n    return [None, *['nothing at all'] * (len(questions) - 1)]\n"
    (tmp_path / "nearly.py").write_text(some)
    words[1] = config(tmp_path, {"python": "nearly:answer"})
    assert evaluated(capsys, suite, tmp_path, *words, "--max-unscored", 0, code=5)["unscored"] > 0


def test_an_evaluation_that_is_killed_goes_on_and_a_finished_one_is_made_anew(suite, tmp_path):
    n = len(read_suite(suite).items)
    file = config(tmp_path, {"python": counted_answerer(tmp_path, stops_after=0)})
    words = ["evaluate", "--suite", str(suite), "--out", str(tmp_path / "calls"), "--config", str(file)]
    assert cli.main(words) == 130
    (tmp_path / "go").touch()
    runs = []
    for _ in range(2):
        assert cli.main([*words, "--max-unscored", "1"]) == 0
        with Ledger(tmp_path / "calls" / "ledger.sqlite", read_only=True) as ledger:
            assert all(ended for _, ended in ledger.times())
            runs.append([run.id for run in ledger.runs()])
    assert runs == [["probe-1"], ["probe-1", "probe-2"]]
    assert len((tmp_path / "asked.txt").read_text().splitlines()) == 2 * n


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "[evaluate] expected --config or --world-answerer, got neither"),
        (["--world-answerer", "world", "--fail-under", "90"], "[evaluate] --fail-under: expected a share, got 90.0"),
        (["--world-answerer", "nobody"], "expected world:NAME with one of answerer-small"),
    ],
)
def test_what_is_wrong_is_said(suite, tmp_path, capsys, words, message):
    assert cli.main(["evaluate", "--suite", str(suite), "--out", str(tmp_path / "calls"), *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "[export] expected FILE, --suite or --train, got none"),
        (["a.jsonl", "--suite", "s"], "[export] expected FILE, --suite or --train, got FILE and --suite"),
        (["--train", "a.csv", "--all"], "[export] --train: expected a name that ends in .jsonl, got 'a.csv'"),
        (
            ["--suite", "s", "--replay", "1"],
            "[export] --replay: expected a number of at least 0 beside --train, got 1.0",
        ),
        (["--train", "a.jsonl", "--mode", "x"], "[export] --mode: expected some of"),
        (["--suite", "s", "--name", "a b"], "[export] --name: expected letters, digits, '.', '_' and '-', got 'a b'"),
    ],
)
def test_what_is_wrong_with_an_export_is_said(finished, capsys, words, message):
    assert cli.main(["export", str(finished), *words]) == 2
    assert message in capsys.readouterr().err
