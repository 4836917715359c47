"""`vlmprobe label` as a command: it serves until it is interrupted, and says what labels say."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

from support.world_probes import asked_at_random
from vlmprobe import cli
from vlmprobe.ledger import Ledger

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return asked_at_random(tmp_path_factory.mktemp("label") / "probe", calls=100)


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def test_it_serves_until_it_is_interrupted_and_goes_on_later(copy):
    command = [sys.executable, "-m", "vlmprobe", "label", str(copy), "--as", "ann", "--items", "4", "--json"]
    for done in range(2):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
        ) as process:  # fmt: skip
            assert process.stdout.readline() == f"ann: {done} of 4 labelled; Ctrl-C ends\n"
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            body = json.dumps({"at": done, "key": "u" if done else "4"}).encode()
            with urllib.request.urlopen(urllib.request.Request(f"{url}label", data=body), timeout=20) as reply:
                assert json.load(reply)["at"] == done + 1
            process.send_signal(signal.SIGINT)
            said = process.stdout.read()
            assert process.wait(30) == 0
        last, _, found = said.partition("\n")
        assert last == f"ann: {done + 1} of 4 labelled" and json.loads(found)["annotators"] == {"ann": 1}
    with Ledger(copy / "ledger.sqlite", read_only=True) as ledger:
        first, second = sorted(ledger.labels("probe"), key=lambda label: label.criterion is None)
    assert (first.valid, first.criterion) == (False, "objective") and (second.valid, second.correct) == (None, None)


def test_labels_from_a_file_are_in_the_report(copy, capsys):
    with Ledger(copy / "ledger.sqlite", read_only=True) as ledger:
        [failure, *_] = ledger.failures(run="probe")
    place = {name: getattr(failure, name) for name in ("run", "phase", "step", "sequence", "slot")}
    lines = [{**place, "annotator": name, "valid": True, "correct": name == "a"} for name in ("a", "b", "c")]
    (copy / "labels.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    assert cli.main(["label", str(copy), "--import", str(copy / "labels.jsonl")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("3 new labels\n1 questions with a verdict have a label by most annotators (a 1, b 1, c 1)")
    assert cli.main(["label", str(copy), "--report", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["table"] == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]] and found["people"]["share"]["n"] == 1


def test_without_labels_it_says_so(finished, capsys):
    assert cli.main(["label", str(finished), "--report"]) == 0 and capsys.readouterr().out == "no labels yet\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--items", "0"], "[label] --items: expected at least 1, got 0"),
        (["--as", " "], "[label] --as: expected a name, got none"),
        (["--import", "labels.txt"], "expected a name that ends in .jsonl or .csv, got 'labels.txt'"),
    ],
)
def test_what_is_wrong_is_said(copy, capsys, words, message):
    assert cli.main(["label", str(copy), *words]) == 2
    assert message in capsys.readouterr().err
