"""A probe that is stopped: by Ctrl-C or SIGTERM after its step, by SIGKILL anywhere; the same command goes on.

The processes are forked from one that has imported everything, so that most of their life is asking.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest

from support.chatting import needs_chat_client
from support.planned_server import fine, planned, said
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.world.source import WorldImages

SEED = 5
SMALL = [f"--set={each}" for each in ("images.n=4", "images_per_step=2", "budget.calls=", "guards.prefixes=9")]
WORDS = [*SMALL, "--set=guards.window=2", "--set=budget.steps=10"]
PRELOADED = ["vlmprobe.cli.run", "transformers.models.qwen3_vl.modeling_qwen3_vl", "vlmprobe.world.tiny"]
CHECKING = "What is in this picture?"


def command(folder: str, words: list[str]) -> None:
    """What a user types, on one thread, in a process of its own; what it says is beside the folder."""
    import torch

    torch.set_num_threads(1)
    os.dup2(os.open(f"{folder}.out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    os.dup2(os.open(f"{folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    sys.exit(cli.main(["run", folder, *words]))


@pytest.fixture(scope="module")
def start():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)

    def begin(folder: Path, words: list[str] = WORDS) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=command, args=(str(folder), words))
        process.start()
        return process

    return begin


def ended(process, folder: Path) -> int:
    process.join(60)
    assert process.exitcode is not None, log(folder)
    return process.exitcode


def log(folder: Path) -> str:
    file = Path(f"{folder}.log")
    return file.read_text() if file.exists() else ""


def until(process, folder: Path, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in log(folder) and process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert words in log(folder), log(folder)


def dump(folder: Path) -> list[str]:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return [line for line in ledger.dump() if '"kind": "resumed"' not in line]


def steps(folder: Path) -> int:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return len(ledger.recorded_steps("probe"))


def begun(folder: Path, *words: str) -> Path:
    assert cli.main(["init", str(folder), *(words or ("--images", "world"))]) == 0
    return folder


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """A run that nothing stopped, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("whole") / "probe"
    assert ended(start(begun(folder)), folder) == 0, log(folder)  # also starts the process that others are forked from
    again = begun(folder.with_name("again"))
    began = time.monotonic()
    assert ended(start(again), again) == 0
    assert dump(again) == dump(folder) and '"kind": "guard"' in "".join(dump(folder))
    return folder, time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_and_the_same_command_goes_on(start, whole, tmp_path, number):
    folder = begun(tmp_path / "probe")
    process = start(folder)
    until(process, folder, "step 1: ")
    os.kill(process.pid, number)
    assert ended(process, folder) == 130
    words, made = log(folder), steps(folder)
    assert 1 <= made < 10 and "stopping at the end of this step; once more stops at once" in words
    assert f"stopped after step {made}: the same command goes on from there" in words
    assert Path(f"{folder}.out").read_text().splitlines()[-1] == str(folder / "report.html")
    assert f"{made} steps" in (folder / "report.html").read_text()
    assert "Traceback" not in words and words.splitlines()[-1] == "vlmprobe run: interrupted"
    assert ended(start(folder), folder) == 0
    assert dump(folder) == dump(whole[0])


def test_killed_runs_end_in_the_ledger_of_one_that_was_not(start, whole, tmp_path):
    expected, seconds = dump(whole[0]), whole[1]
    draw, kills, number = random.Random(SEED), 0, 0
    while kills < 4 and number < 12:  # a run may end before it is killed
        folder, number = begun(tmp_path / f"probe-{number}"), number + 1
        for _ in range(draw.randint(1, 3)):
            process = start(folder)
            process.join(draw.uniform(0.05, 0.9) * seconds)
            process.kill()
            process.join()
            kills += process.exitcode == -signal.SIGKILL
        assert ended(start(folder), folder) == 0, log(folder)
        assert dump(folder) == expected
    assert kills >= 4


@pytest.fixture
def server():
    """Asks, answers and judges after some milliseconds, and keeps what it was asked but for what `check` sends."""
    seen: list[str] = []
    number, lock = [0], threading.Lock()

    def plan(model: str, text: str):
        if text.startswith(CHECKING):
            return said("yes")
        time.sleep(0.01)
        with lock:
            number[0] += 1
            seen.append(model)
            i = int(hashlib.md5(str(number[0]).encode()).hexdigest(), 16)
        tags = "<response_1> How many {}s? </response_1><response_2> Is it {}? </response_2>"
        return said(tags.format("abcdefgh"[i % 8], i % 97)) if model == "asker" else fine(model, text)

    with planned() as found:
        found.plan = plan
        found.seen = seen
        yield found


def behind_endpoint(tmp_path: Path, url: str, name: str) -> Path:
    photos = tmp_path / "photos"
    if not photos.exists():
        photos.mkdir()
        for i, image in enumerate(WorldImages(4, seed=3)):
            image.pixels.save(photos / f"{i}.png")
    roles = ("--questioner", "asker", "--answerer", "answers", "--verifier", "judge")
    return begun(tmp_path / name, "--images", str(photos), "--endpoint", url, *roles)


def calls(folder: Path) -> list[tuple[str, str, int, int]]:
    with sqlite3.connect(folder / "ledger.sqlite") as db:
        return db.execute("SELECT role, request, attempts, charged_calls FROM calls").fetchall()


@needs_chat_client
def test_a_killed_run_pays_for_no_recorded_call_twice(start, server, tmp_path):
    folder = behind_endpoint(tmp_path, server.url, "probe")
    words = ["--set=images_per_step=2", "--set=budget.steps=5", "--set=budget.calls="]
    draw, kills, lost = random.Random(SEED), 0, 0
    for _ in range(5):
        before = len(server.seen)
        known = len(calls(folder)) if (folder / "ledger.sqlite").exists() else 0
        process = start(folder, words)
        deadline, more = time.monotonic() + 20, draw.randint(5, 60)
        while len(server.seen) < before + more and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.001)
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        time.sleep(0.1)  # the server ends what it has begun
        lost += len(server.seen) - before - (len(calls(folder)) - known)
    assert ended(start(folder, words), folder) == 0, log(folder)
    assert kills > 2 and steps(folder) == 5
    assert {(attempts, charged) for _, _, attempts, charged in calls(folder)} == {(1, 1)}
    assert len(server.seen) == len(calls(folder)) + lost


@needs_chat_client
def test_a_second_signal_stops_a_step_that_takes_long_at_once(start, server, tmp_path):
    folder = behind_endpoint(tmp_path, server.url, "probe")
    plan, hanging, go = server.plan, threading.Event(), threading.Event()

    def slow(model: str, text: str):
        if model == "answers" and not text.startswith(CHECKING):
            hanging.set()
            go.wait(30)
        return plan(model, text)

    server.plan = slow
    process = start(folder, ["--set=budget.steps=2"])
    assert hanging.wait(30), log(folder)
    os.kill(process.pid, signal.SIGINT)
    until(process, folder, "once more stops at once")
    assert process.is_alive()
    try:
        for _ in range(4):  # the system may hand a signal to a thread that does not wake the one that waits
            if process.is_alive():
                os.kill(process.pid, signal.SIGINT)
                process.join(4)
        assert process.exitcode == 130, "before the server said anything"
    finally:
        go.set()
    assert "stopped after step 0: the same command goes on" in log(folder) and "Traceback" not in log(folder)
    assert not (folder / "report.html").exists(), "nothing was scored"
    server.plan = plan
    assert ended(start(folder, ["--set=budget.steps=2"]), folder) == 0, log(folder)
    assert json.loads(dump(folder)[0])["table"] and steps(folder) == 2
