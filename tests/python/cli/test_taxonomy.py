"""`vlmprobe taxonomy`: a run's skills by the command, applied to another run, and gone on with after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from support.chatting import needs_chat_client
from support.planned_server import planned, refused, said
from support.world_probes import SMALL
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.models.model import Message, Request
from vlmprobe.probe.local import weights_of
from vlmprobe.probe.reading import read
from vlmprobe.world.labeller import WordLabeller

pytestmark = pytest.mark.usefixtures("one_thread")
PYTHON = Path(__file__).parents[3] / "python"


def probe(folder: Path, **changes) -> Path:
    content = {
        **SMALL,
        "images": {"source": "world", "n": 12},
        "method": "zero-shot",
        "budget": {"calls": 60},
        **changes,
    }
    folder.mkdir(parents=True)
    (folder / "probe.yaml").write_text(yaml.safe_dump(content))
    assert cli.main(["run", str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = tmp_path_factory.mktemp("taxonomy")
    return probe(root / "first"), probe(root / "second", seed=4, images={"source": "world", "n": 12, "seed": 3})


@pytest.fixture
def runs(finished, tmp_path):
    return [shutil.copytree(each, tmp_path / each.name) for each in finished]


def taxonomy(*words: object) -> int:
    return cli.main(["taxonomy", *map(str, words)])


def labels(run: Path) -> list[str]:
    return [each["label"] for each in json.loads((run / "taxonomy.json").read_text())["skills"] if not each["into"]]


def spent(run: Path) -> int:
    with Ledger(run / "ledger.sqlite", read_only=True) as ledger:
        return ledger.spent("probe", "labeller").calls


def test_a_run_without_a_labeller_says_how_to_name_one(runs, capsys):
    assert taxonomy(runs[0]) == 2
    said = capsys.readouterr().err
    assert "[taxonomy] labeller: expected a model, got none" in said and "stopped" not in said
    assert taxonomy(runs[0], "--labeller", "verifier") == 2
    assert "expected a model that is asked by message, got 'world'" in capsys.readouterr().err


def test_a_dry_run_says_what_it_will_cost_and_spends_nothing(runs, capsys):
    assert taxonomy(runs[0], "--labeller", "world", "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["primitives", "topics", "skills", "meta-skills", "again"]
    assert spent(runs[0]) == 0 and not (runs[0] / "taxonomy.json").exists()
    expected, most = int(lines[0].split()[1]), [int(line.split()[-1].replace(",", "")) for line in lines[1:5]]
    assert taxonomy(runs[0], "--labeller", "world", "--json") == 0
    asked = json.loads(capsys.readouterr().out)["asked"]
    assert asked["primitives"]["requests"] == expected
    assert all(asked[stage]["requests"] <= limit for stage, limit in zip(list(asked)[1:], most, strict=True))
    assert taxonomy(runs[0], "--labeller", "world", "--dry-run") == 0
    assert f"{expected} of them in the ledger" in capsys.readouterr().out


def test_a_taxonomy_is_printed_and_written_beside_its_questions(runs, capsys):
    assert "Stability: how much" not in (runs[0] / "report.html").read_text()
    assert taxonomy(runs[0], "--labeller", "world") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("The skill that surely fails most is '")
    worst = printed.split("'")[1]
    assert "valid questions" in printed and "under two clusterings" in printed and "failure rate" in printed
    rows = [json.loads(line) for line in (runs[0] / "taxonomy.questions.jsonl").read_text().splitlines()]
    content = json.loads((runs[0] / "taxonomy.json").read_text())
    ids = {each["id"] for each in content["skills"] if not each["into"]}
    assert len(rows) == content["numbers"]["methods"]["first"]["questions"] > 30
    assert all(set(row["skills"]) <= ids and row["primitives"] and "question" in row for row in rows)
    assert {row["wrong"] for row in rows} >= {True, False}
    assert "Stability: how much" in (page := (runs[0] / "report.html").read_text()) and worst in page


def test_a_page_is_written_also_beside_a_file_that_is_no_taxonomy(runs, capsys):
    (runs[0] / "taxonomy.json").write_text("{}")
    assert cli.main(["report", str(runs[0])]) == 0
    assert "format: expected 'vlmprobe taxonomy 1', got None; the page shows no skills" in capsys.readouterr().err
    assert taxonomy(runs[0], "--labeller", "world") == 2


def test_a_second_call_costs_nothing_changes_nothing_and_keeps_what_a_person_wrote(runs):
    assert taxonomy(runs[0], "--labeller", "world") == 0
    first, calls = (runs[0] / "taxonomy.json").read_bytes(), spent(runs[0])
    assert taxonomy(runs[0], "--labeller", "world") == 0
    assert (runs[0] / "taxonomy.json").read_bytes() == first and spent(runs[0]) == calls
    (runs[0] / "taxonomy.json").write_text(first.decode().replace('"label": "', '"label": "my ', 1))
    changed = json.loads((runs[0] / "taxonomy.json").read_text())
    assert taxonomy(runs[0], "--labeller", "world") == 0
    again = json.loads((runs[0] / "taxonomy.json").read_text())
    assert [each["label"] for each in again["meta_skills"]] == [each["label"] for each in changed["meta_skills"]]
    assert again["meta_skills"][0]["label"].startswith("my ") and again["topics"] == changed["topics"]


def test_it_is_applied_to_another_run_with_the_same_ids_and_grows_into_a_file_of_its_own(runs, capsys):
    assert taxonomy(runs[0], "--labeller", "world") == 0
    file = runs[0] / "taxonomy.json"
    before = file.read_bytes()
    capsys.readouterr()
    assert taxonomy("apply", file, runs[1], "--labeller", "world", "--json") == 0
    numbers = json.loads(capsys.readouterr().out)
    assert {stage for stage, each in numbers["asked"].items() if each["requests"]} == {"primitives"}
    rows = [json.loads(line) for line in (runs[1] / "taxonomy.questions.jsonl").read_text().splitlines()]
    ids = {each["id"] for each in json.loads(before)["skills"]}
    assert {skill for row in rows for skill in row["skills"]} <= ids | {"other"}
    assert file.read_bytes() == before and not (runs[1] / "taxonomy.json").exists()
    assert taxonomy("apply", file, runs[1], "--labeller", "world", "--grow") == 0
    grown = json.loads((runs[1] / "taxonomy.json").read_text())
    assert grown["topics"][: len(json.loads(before)["topics"])] == json.loads(before)["topics"]
    assert file.read_bytes() == before
    assert taxonomy("apply", file, runs[1], "--labeller", "world", "--grow") == 2
    assert "expected a new file" in capsys.readouterr().err


def test_several_runs_are_methods_of_one_taxonomy(runs, capsys):
    assert taxonomy(*runs, "--labeller", "world", "--out", runs[0] / "both.json", "--json") == 0
    numbers = json.loads(capsys.readouterr().out)
    assert set(numbers["methods"]) == set(numbers["exclusive"]) == {"first", "second"}
    assert spent(runs[0]) > spent(runs[1]) > 0  # what is about both is in the first one's ledger


def test_operations_that_a_person_changed_are_replayed(runs, capsys):
    assert taxonomy(runs[0], "--labeller", "world") == 0
    file = runs[0] / "taxonomy.json"
    content = json.loads(file.read_text())
    assert taxonomy("replay", file) == 0 and json.loads(file.read_text())["topics"] == content["topics"]
    kept = next(each for each in content["operations"] if each["action"] == "keep" and each["whole"])
    kept["action"], kept["labels"] = "rename", ["my own skill"]
    file.write_text(json.dumps(content))
    assert taxonomy("replay", file) == 0
    assert "my own skill" in labels(runs[0])
    assert taxonomy("replay") == 2 and taxonomy("apply", file) == 2
    assert "[taxonomy] apply: expected 2 names after it, got 1" in capsys.readouterr().err


def test_the_labeller_may_stand_in_the_probe_as_an_object_of_ones_own(runs, capsys):
    (runs[0] / "labels_here.py").write_text("from vlmprobe.world.labeller import WordLabeller as label")
    file = runs[0] / "probe.yaml"
    file.write_text(file.read_text() + "labeller: {python: 'labels_here:label'}\n")
    assert taxonomy(runs[0]) == 0 and labels(runs[0])
    assert cli.main(["run", str(runs[0]), "--quiet"]) == 0  # no question depends on who labels
    file.write_text(file.read_text().replace("labels_here:label", "json:dumps"))
    capsys.readouterr()
    assert taxonomy(runs[0]) == 2
    assert "expected a model that is asked by message, got 'json:dumps'" in capsys.readouterr().err


def test_a_labeller_in_this_process_is_a_model_of_the_probe(tmp_path):
    (tmp_path / "probe.yaml").write_text(
        yaml.safe_dump({**SMALL, "budget": {"calls": 1}, "labeller": {"model": "weights", "device": "cuda"}})
    )
    found = weights_of(read(tmp_path), "labeller", tmp_path)
    assert (found.path, found.device) == ("weights", "cuda")


def by_words(model: str, text: str) -> tuple[int, dict]:
    return said(WordLabeller().reply([Request(messages=[Message(role="user", text=text)])])[0].text)


@needs_chat_client
def test_a_server_that_refuses_and_a_budget_that_is_spent_leave_no_taxonomy_and_no_call_is_made_twice(runs, capsys):
    with planned() as server:
        server.plan = lambda model, text: refused(401, "no such key")
        words = (runs[0], "--labeller", f"labels@{server.url}")
        assert taxonomy(*words) == 4
        assert "[labeller]" in (error := capsys.readouterr().err) and "no such key" in error
        server.plan, server.calls = by_words, 0
        assert taxonomy(*words, "--set", "labeller.client.max_calls=5") == 3
        assert server.calls == 5 and not (runs[0] / "taxonomy.json").exists()
        assert taxonomy(*words) == 0
        made = server.calls
        (runs[0] / "taxonomy.json").unlink()
        assert taxonomy(*words) == 0 and server.calls == made == spent(runs[0])


@needs_chat_client
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_kill_in_the_middle_costs_no_call_twice(finished, tmp_path, share):
    """The one call that is on its way when the process is killed is the only one that is made again."""
    once, cut = (shutil.copytree(finished[0], tmp_path / name / "first") for name in ("once", "cut"))
    with planned() as server:
        server.plan = by_words
        words = ["--labeller", f"labels@{server.url}"]
        words += [word for limit in ("first", "max") for word in ("--set", f"labeller.client.{limit}_limit=1")]
        assert taxonomy(once, *words) == 0
        whole, last = server.calls, round(share * server.calls)
        server.calls = 0
        process = subprocess.Popen(
            [sys.executable, "-m", "vlmprobe", "taxonomy", str(cut), *words],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PYTHON), os.environ.get("PYTHONPATH", "")])},
            stderr=subprocess.DEVNULL,
        )

        def killing(model: str, text: str) -> tuple[int, dict]:
            if server.calls == last:
                time.sleep(0.3)  # a reply is written at most 50 ms after it came
                process.send_signal(signal.SIGKILL)
            return by_words(model, text)

        server.plan = killing
        assert process.wait(timeout=60) == -signal.SIGKILL and server.calls == last
        server.plan = by_words
        assert taxonomy(cut, *words) == 0
        assert server.calls == whole + 1
    assert (cut / "taxonomy.json").read_bytes() == (once / "taxonomy.json").read_bytes()
