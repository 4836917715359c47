"""Runs all arms of a reproduction, several at once, each in a process and a folder of its own.

    <run>/seed-<s>/<arm>/    see `vlmprobe.studies.arms`

Each process uses a fixed number of threads, so the numbers do not depend on how many run at once.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from vlmprobe._util.checks import check_count
from vlmprobe.run.directory import versions
from vlmprobe.studies.arms import check_same, done, folder_of, run_arm
from vlmprobe.studies.plan import Arm, Scale
from vlmprobe.studies.setup import Setup


class ArmsFailed(RuntimeError):
    """Some arms did not end; the others did, and what all of them did is kept."""


THREADS = 1  # of each process in the embedded world


def run_all(
    arms: Sequence[Arm],
    setup: Setup,
    scale: Scale,
    folder: Path,
    *,
    seeds: Sequence[int],
    jobs: int,
    say: Callable[[str], None],
) -> None:
    """Runs every arm with every seed that has not ended yet.

    Args:
        arms: in the order in which they begin.
        setup, scale: of all.
        folder: of the reproduction.
        seeds: of sampling, learning and the order of the pool.
        jobs: processes at once.
        say: one line of progress.

    Raises:
        ValueError: an arm that has ended had other settings.
        ArmsFailed: an arm failed; names it. The others have ended, and what they did is kept.
    """
    check_count("reproduce", "jobs", jobs)
    known = versions()
    places = {(arm.name, seed): folder / f"seed-{seed}" / folder_of(arm) for seed in seeds for arm in arms}
    left = []
    for seed in seeds:
        for arm in arms:
            if done(places[arm.name, seed]):
                check_same(arm, setup, places[arm.name, seed], seed=seed)
            else:
                left.append((arm, seed))
    say(f"{len(left)} of {len(places)} arms to run, {jobs} at once")
    failed: list[str] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin) as executor:
        running: dict[Future[float], str] = {}
        for arm, seed in left:
            future = executor.submit(run_arm, arm, setup, scale, places[arm.name, seed], seed=seed, versions=known)
            running[future] = f"{arm.name}, seed {seed}"
        ended = 0
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name, ended = running.pop(future), ended + 1
                    error = future.exception()
                    if error is None:
                        say(f"{ended}/{len(left)}  {name}: {future.result():.0f} s")
                    else:
                        failed.append(name)
                        say(f"{ended}/{len(left)}  {name}: {type(error).__name__}: {error}")
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    if failed:
        raise ArmsFailed(f"[reproduce] {len(failed)} arms failed ({', '.join(failed)}); the same command goes on")


def _begin() -> None:
    """In each process: its threads; an interrupt is the parent's to see, which then ends this one."""
    import torch

    from vlmprobe.vlm.load import quiet

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(THREADS)
    quiet()
