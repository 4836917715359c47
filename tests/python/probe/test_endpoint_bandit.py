"""The bandit on endpoints alone, with the world's models behind a server: it is killed, goes on, and pays for nothing
twice; what it asks is what a run that nothing stopped asks; and the report says what each hint brought."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from support import no_model_here
from support.chatting import needs_chat_client
from support.scripted_server import saying
from support.world_server import MODELS, WorldServer
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.methods.local_search import FOLLOWED
from vlmprobe.methods.world_hints import world_hints
from vlmprobe.probe.hints import FOLLOW_UPS
from vlmprobe.probe.own_answers import OwnAnswer, own_answers_of
from vlmprobe.world.source import WorldImages

pytestmark = [needs_chat_client, pytest.mark.usefixtures("one_thread")]
CALLS = 260
KILLED_AT = 120  # the answerer's request at which the process is killed


def written(folder: Path, url: str, pictures: Path) -> Path:
    """A probe with all roles behind the server; hints are the words and pairs that the questioner was taught."""
    folder.mkdir()
    (folder / "hints.txt").write_text("\n".join(hint.text for hint in world_hints()))
    probe = {
        "images": {"source": str(pictures), "near_duplicates": "keep"},
        **{role: {"model": model, "endpoint": url} for role, model in MODELS.items()},
        "pixels": {"format": "png", "longest_side": None},
        "hints": {"file": "hints.txt"},
        "budget": {"calls": CALLS},
        "group_size": 1,  # equal prompts get equal replies
        "embedder": "hashed",
    }
    (folder / "probe.yaml").write_text(yaml.safe_dump(probe))
    return folder


def command(folder: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, str(no_model_here.__file__), "run", str(folder), "--quiet"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def calls(folder: Path) -> tuple[Counter[str], int]:
    """Recorded calls by role, and how many were paid for."""
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        rows = db.execute("SELECT role, count(*), sum(charged_calls) FROM calls GROUP BY role").fetchall()
    return Counter({MODELS[role]: count for role, count, _ in rows}), sum(paid for *_, paid in rows)


def asked(folder: Path) -> list[tuple[int, int, str, str]]:
    """Step, picture, hint and text of each question."""
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return [
            (step.step, step.sequences[question.sequence].image, question.annotations["hint"], question.text)
            for step in ledger.each_step("probe") for question in step.questions
        ]  # fmt: skip


def own_answers(folder: Path) -> list[OwnAnswer]:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return own_answers_of(ledger, "probe")


def arrived(server: WorldServer) -> Counter[str]:
    """The requests that came, once none has come for three seconds: what a process sent before it was killed may still
    wait to be read."""
    came = Counter(server.came)
    while True:
        time.sleep(3)
        if came == server.came:
            break
        came = Counter(server.came)
    return came


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folders of a run that was killed and went on, and of one that was not; what was recorded at the kill; and
    what came to the server after it."""
    place = tmp_path_factory.mktemp("endpoint")
    server = WorldServer(WorldImages(24, seed=41))
    pictures = server.write_pictures(place / "pictures")
    with saying(server) as found:
        killed, whole = (written(place / name, found.url, pictures) for name in ("killed", "whole"))
        process = command(killed)

        def kill(model: str, count: int) -> None:
            if model == MODELS["answerer"] and count == KILLED_AT:
                os.kill(process.pid, signal.SIGKILL)

        server.on_request = kill
        assert process.wait(300) == -signal.SIGKILL
        server.on_request = lambda model, count: None
        before, recorded = arrived(server), calls(killed)[0]
        steps = 1 + max(step for step, *_ in asked(killed))
        assert command(killed).wait(300) == 0
        came = server.came - before
        assert cli.main(["run", str(whole), "--quiet"]) == 0
    return {"killed": killed, "whole": whole, "recorded": recorded, "came": came, "steps": steps}


def test_a_killed_run_asks_what_a_run_that_nothing_stopped_asks(runs):
    killed, whole = asked(runs["killed"]), asked(runs["whole"])
    assert killed == whole, "pictures, hints and questions"
    assert own_answers(runs["killed"]) == own_answers(runs["whole"]), "what the verifier answered itself"
    assert 1 < runs["steps"] < whole[-1][0], "it was killed in the middle"
    hints = [hint for step, _, hint, _ in killed if step > runs["steps"]]
    assert any(hint.startswith(FOLLOWED) for hint in hints) and any(not hint.startswith(FOLLOWED) for hint in hints)


def test_no_recorded_call_is_paid_for_twice(runs):
    every, paid = calls(runs["killed"])
    check = Counter(MODELS.values())  # one request of each role
    assert runs["recorded"] + runs["came"] == every + check
    assert paid == every.total(), "each of them once"
    assert all(runs["recorded"][model] > 0 for model in MODELS.values())


def test_the_report_says_of_each_hint_what_it_found_and_what_it_is_worth(runs, capsys):
    folder = runs["killed"]
    assert cli.main(["report", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    hints = {each["hint"]: each for each in found["hints"]}
    told = Counter()
    for _, _, hint in {(step, picture, hint) for step, picture, hint, _ in asked(folder)}:
        told[FOLLOW_UPS if hint.startswith(FOLLOWED) else hint] += 1
    assert {hint: each["pulls"] for hint, each in hints.items()} == told
    assert sum(each["judged"] for each in hints.values()) == len(judged(folder))
    assert sum(each["failures"] for each in hints.values()) == found["failures"] > 10
    values = {hint: each["value"] for hint, each in hints.items() if hint != FOLLOW_UPS}
    assert found["own_answers"]["judged"] > 10 and found["own_answers"]["wrong"] == 0, "the judge is the truth"
    assert hints[FOLLOW_UPS]["value"] is None and all(0 < value < 1 for value in values.values())
    page = (folder / "report.html").read_text()
    assert "What was asked about" in page and all(each["hint"] in page for each in found["hints"][:30])


def judged(folder: Path) -> set[tuple[int, str]]:
    """Pairs of picture and question of which the answer was judged."""
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return {
            (image, text)
            for part in ledger.each_judged("probe")
            for image, text, right in zip(part.image, part.text, part.correct, strict=True) if right is not None
        }  # fmt: skip
