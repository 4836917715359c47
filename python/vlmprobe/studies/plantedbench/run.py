"""Runs of the benchmark: a method, a fault set and a seed each, several at once.

<run>/<set>/<method>-<seed>.json   what came of a run that has ended; it is not run again
<run>/<set>/<method>-<seed>/       the ledger of one that has not: it goes on from there
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vlmprobe._native import core
from vlmprobe._util.checks import check_count
from vlmprobe._util.files import write_text
from vlmprobe._util.json import plain, read_object
from vlmprobe.loop.ask import learner_of
from vlmprobe.loop.record import recorded_round
from vlmprobe.methods.bandit import HintValue
from vlmprobe.methods.task import Task, pool, pool_runs
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.probe.config import Guards
from vlmprobe.probe.own_answers import OwnAnswers, contradicted
from vlmprobe.run.directory import RunDirectory
from vlmprobe.studies.plantedbench.faults import FaultList, masses_over
from vlmprobe.studies.plantedbench.named import DETECTED, Told, numbers_of, told_of
from vlmprobe.studies.plantedbench.score import score
from vlmprobe.studies.plantedbench.settings import Settings, method_of
from vlmprobe.world.answerers import FaultyAnswerer
from vlmprobe.world.source import POOL_SEED, WorldImages
from vlmprobe.world.truth import annotator


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run."""

    method: str
    faults: FaultList
    seed: int
    settings: Settings

    @property
    def name(self) -> str:
        """Its file without the ending, seen from the benchmark's folder."""
        return f"{self.faults.name}/{self.method}-{self.seed}"

    @property
    def asking_seed(self) -> int:
        """Of asking, of what fires, and of the verifier's errors: another for each set, so that sets are independent
        also of what is asked, and the same for all methods."""
        return core.hash(f"{self.seed} {self.faults.name}") % 2**32

    def identity(self) -> dict[str, Any]:
        """What decides its numbers, as plain values."""
        known: dict[str, Any] = plain(asdict(self))
        return known


def result_of(run: Run, folder: Path) -> dict[str, Any] | None:
    """What came of a run that has ended; None of one that has not.

    Raises:
        ValueError: a run of this name ended with other settings.
    """
    file = folder / f"{run.name}.json"
    if not file.is_file():
        return None
    found = read_object("plantedbench", file)
    known, asked = found.get("settings") or {}, run.identity()
    was, now = known.get("settings") or {}, asked["settings"]
    if {**known, "settings": _set(was)} != {**asked, "settings": _set(now)}:
        name = next((name for name in now if was.get(name) != now[name]), "faults")
        got = f"{now.get(name)!r:.60}, got {was.get(name)!r:.60}"
        raise ValueError(f"[plantedbench] {file}: expected a run with {name} {got}; name another folder (--run)")
    return found


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are set: others may be unknown to another version."""
    return {name: value for name, value in settings.items() if value is not None}


More = Callable[[Run, Told, Mapping[str, Any]], Mapping[str, Any]]
"""Further numbers of a run, from its modes and its numbers so far."""


def run_one(run: Run, folder: Path, *, more: More | None = None) -> dict[str, Any]:
    """Runs it, or goes on with it, and writes its file.

    Args:
        run: the run.
        folder: of the benchmark.
        more: further numbers that its file is to have.

    Returns:
        As in the file: the numbers of `score` and of `named`, with method, seed, faults_from, seconds (of asking; of
        the last process alone where it was resumed), cpu_seconds, hints (of a bandit), settings, and verifier_asked,
        verifier_wrong, verifier_flagged: own answers that the verifier judged, those that it called wrong, and the
        words of the kinds that are to be taken for its own (`vlmprobe.probe.own_answers`).
    """
    began, worked = time.monotonic(), time.process_time()
    settings, place = run.settings, folder / run.name
    images = WorldImages(settings.pool, seed=POOL_SEED)
    answerer = FaultyAnswerer(settings.inner(), run.faults.planted(seed=run.asking_seed, fires=not settings.control))
    method = method_of(run.method)
    with RunDirectory(place, quiet=True, resume=True) as directory:
        task = Task(
            images=images,
            answerer=answerer,
            verifier=settings.verifier(run.asking_seed),
            embedder=HashedNgramEmbedder(),
            calls=settings.asking,
            ledger=directory.ledger,
            k=settings.k,
            group_size=settings.group_size,
            images_per_step=settings.images_per_step,
            seed=run.asking_seed,
            annotate=annotator(answerer),
            checkpoints=place / "checkpoints",
            resumed=directory.resumed,
        )
        asker = method.run(task)
        asked = pool(directory.ledger, run.method)
        verifier = _own_answers(task, run.method)
        spent = {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(time.process_time() - worked, 1)}
        faults = [each.id for each in answerer.faults.faults]
        masses = dict(zip(faults, masses_over(answerer.faults, images), strict=True))
        scores = score(asked, masses, budget=settings.budget)
        detected = [fault for fault, each in scores["faults"].items() if each["detected"] >= DETECTED]
        told = told_of(task, run.method, calls=settings.budget - settings.asking, described=bool(settings.described))
        numbers = {**scores, **numbers_of(told, detected), **verifier, **_hints(asker)}
        if more is not None:
            numbers |= more(run, told, numbers)
    head = {"method": run.method, "seed": run.seed, "faults_from": run.faults.name, **spent}
    found: dict[str, Any] = plain({**head, **numbers, "settings": run.identity()})
    write_text(folder / f"{run.name}.json", json.dumps(found, indent=1) + "\n")
    shutil.rmtree(place)
    return found


def _own_answers(task: Task, method: str) -> dict[str, Any]:
    """What the verifier says of its own answers to questions that failed: as many of a step as a probe asks about."""
    own = OwnAnswers(task.verifier, most=Guards().own_answers)
    pictures = {i: task.images[i] for i in range(len(task.images))}
    for name in pool_runs(task.ledger, method):
        for record in task.ledger.each_step(name):
            own.see(recorded_round(record, pictures))
    return {
        "verifier_asked": len(own.found),
        "verifier_wrong": sum(not each.correct for each in own.found),
        "verifier_flagged": [each.word for each in contradicted(own.kinds())],
    }


def _hints(asker: object) -> dict[str, Any]:
    """What is known of the hints that were pulled or that failed, where a bandit chose them."""
    values: Callable[[], list[HintValue]] = getattr(learner_of(asker), "values", list)
    return {"hints": [asdict(each) for each in values() if each.pulls or each.failures]}


One = Callable[[Run, Path], dict[str, Any]]
"""Makes a run, and writes its file, which it returns; a function that another process can import."""


def run_all(
    runs: Sequence[Run], folder: Path, *, jobs: int, say: Callable[[str], None] = lambda line: None, one: One = run_one
) -> list[dict[str, Any]]:
    """What came of all runs, in their order; those that have not ended are run, `jobs` at once: each with
    a thread, or with those of this process where there is one at once.

    Args:
        runs: the runs.
        folder: of the benchmark.
        jobs: runs at once.
        say: is told of each run that has ended.
        one: makes a run.

    Raises:
        ValueError: a run ended with other settings.
        Whatever a run raised; the others that have ended are kept.
    """
    check_count("plantedbench", "jobs", jobs)
    known = {run.name: result_of(run, folder) for run in runs}
    found = {name: result for name, result in known.items() if result is not None}
    left = [run for run in runs if run.name not in found]
    say(f"{len(left)} of {len(runs)} runs to make, {jobs} at once")
    for count, (name, result) in enumerate(_made(left, folder, jobs, one), 1):
        found[name] = result
        say(f"{count}/{len(left)}  {name}: {result['seconds']:.0f} s")
    return [found[run.name] for run in runs]


def _made(runs: Sequence[Run], folder: Path, jobs: int, one: One) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and result of each run, as they end; in this process where there is one at once."""
    if jobs == 1:
        yield from ((run.name, one(run, folder)) for run in runs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin) as executor:
        futures = {executor.submit(one, run, folder): run for run in runs}
        try:
            yield from ((futures[future].name, future.result()) for future in as_completed(futures))
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _begin() -> None:
    """In each process: its threads; an interrupt is the parent's to see, which then ends this one."""
    import torch

    from vlmprobe.vlm.load import quiet

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    quiet()
