"""Runs killed with SIGKILL at random moments and resumed by the same command end in the bytes of one that was not.

`VLMPROBE_KILLS` says how many (10); `make test-kill` takes 100. The processes are forked from one that has imported
everything, so that most of their life is training.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from support.tiny_runs import dump, whole_state
from support.world_probes import written
from vlmprobe.run.checkpoint import find

KILLS = int(os.environ.get("VLMPROBE_KILLS", "10"))
SEED = 6
STEPS = 10
PRELOADED = [
    "vlmprobe.cli.run",
    "vlmprobe.probe.world",
    "transformers.models.qwen3_vl.modeling_qwen3_vl",
    "transformers.models.auto.modeling_auto",
]


FILE_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "sqlite3.connect"}


def command(run: str, kill_before: int | None = None) -> None:
    """What a user types, on one thread, in a process of its own, which kills itself before its nth file operation in
    the folder; their number is left beside the folder."""
    import torch

    from vlmprobe import cli

    torch.set_num_threads(1)
    operations = 0

    def count(event: str, args: tuple) -> None:
        nonlocal operations
        if event in FILE_EVENTS and str(args[0]).startswith(run):
            operations += 1
            if operations == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(f"{run}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    sys.addaudithook(count)
    code = cli.main(["run", run])
    Path(f"{run}.operations").write_text(str(operations))
    sys.exit(code)


@pytest.fixture(scope="module")
def start():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)

    def begin(run: Path, kill_before: int | None = None) -> multiprocessing.process.BaseProcess:
        written(run, steps=STEPS)
        process = context.Process(target=command, args=(str(run), kill_before))
        process.start()
        return process

    return begin


def finish(process, run: Path) -> None:
    process.join(120)
    assert process.exitcode == 0, Path(f"{run}.log").read_text()


def progress(run: Path) -> int:
    """Steps whose numbers are written."""
    file = run / "metrics.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def kill_at(process, run: Path, steps: int, delay: float) -> bool:
    """Kills the process some time after it has made so many steps in all; False if it ended first."""
    while progress(run) < steps and process.is_alive():
        time.sleep(0.002)
    process.join(delay)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """The run that nothing stopped, and the seconds it took."""
    run = tmp_path_factory.mktemp("whole") / "run"
    finish(start(run), run)  # the first one also starts the process that the others are forked from
    again, began = run.with_name("again"), time.monotonic()
    finish(start(again), again)
    assert ending(again) == ending(run)
    return run, time.monotonic() - began


def ending(run: Path) -> tuple:
    return whole_state(find(run / "checkpoints")), dump(run / "ledger.sqlite"), (run / "metrics.jsonl").read_text()


def resumptions(run: Path) -> list[str]:
    with sqlite3.connect(run / "ledger.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        return [text for (text,) in db.execute("SELECT text FROM events WHERE kind = 'resumed'")]


def test_killed_runs_end_in_the_bytes_of_a_run_that_was_not(start, whole, tmp_path):
    expected, (whole_run, seconds) = ending(whole[0]), whole
    draw, kills, runs, seen = random.Random(SEED), 0, 0, Counter()
    while kills < KILLS:
        run = tmp_path / f"run-{runs}"
        for _ in range(draw.randint(1, 4)):
            if kills < KILLS and progress(run) < STEPS:
                kills += kill_at(start(run), run, draw.randrange(STEPS), draw.uniform(0, seconds / 4))
        finish(start(run), run)
        assert ending(run) == expected, f"{run.name}: {Path(f'{run}.log').read_text()}"
        seen.update(resumptions(run))
        runs += 1
    assert not resumptions(whole_run)
    print(f"{kills} kills in {runs} runs; resumed {dict(sorted(seen.items()))}")
    assert sum(count for text, count in seen.items() if text != "at step 0") > 0


def test_a_run_killed_between_two_file_operations_ends_in_the_same_bytes(start, whole, tmp_path):
    expected, operations = ending(whole[0]), int(Path(f"{whole[0]}.operations").read_text())
    draw, kills = random.Random(SEED), max(2, KILLS // 4)
    assert operations > 100
    for i in range(kills):
        run = tmp_path / f"run-{i}"
        first, last = (1 + operations * place // kills for place in (i, i + 1))
        process = start(run, draw.randrange(first, last))
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        finish(start(run), run)
        assert ending(run) == expected, f"{run.name}: {Path(f'{run}.log').read_text()}"
        resumptions(run)
