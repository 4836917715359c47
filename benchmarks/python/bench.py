"""The benchmarks of vlmprobe against TRL, Liger, FAISS, NumPy and plain torch.

    python benchmarks/python/bench.py [--cases REGEX] [--out FILE] [--all] [--malloc kept] [--tiny] [--cpp DIR]

Writes a JSON line per case, variant and thread count to standard output, and to FILE; a table comes at the end, on
standard error. A result is held against a float64 reference before it is timed, and not timed when it is wrong: the
exit status is then 1. Ours and the peers take turns in one process, with 1 and with 2 threads; times are medians.
The peak of memory above the inputs is taken in a process of its own, on the largest thread count. A megabyte is 10^6
bytes. Without --all: the first shape of each case; with it: every shape, thread counts up to the machine's, and the
memory of every peer. With --tiny: one thread, no memory, and shapes on which the numbers mean nothing, to try the
programme. --cpp takes in what
the C++ benchmarks of a build folder say (see google_benchmark.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import environment


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="", metavar="REGEX", help="only the cases whose name this is found in")
    parser.add_argument("--shapes", default="", metavar="REGEX", help="with --all: only shapes such as 'G8 P400'")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the lines go here as well")
    parser.add_argument("--all", action="store_true", help="every shape and thread count")
    parser.add_argument("--malloc", choices=environment.CHOICES, default="default", help="see environment.py")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, to try the programme")
    parser.add_argument("--cpp", type=Path, metavar="DIR", help="folder of the C++ benchmarks")
    arguments = parser.parse_args()
    environment.restart(arguments.malloc)

    import google_benchmark
    from cases import CASES
    from table import table

    chosen = [case for case in CASES if re.search(arguments.cases, case.name)]
    binaries = google_benchmark.found(arguments.cpp, arguments.cases) if arguments.cpp else []
    if not chosen and not binaries:
        parser.error(f"--cases: expected a part of {', '.join(case.name for case in CASES)}, got {arguments.cases!r}")
    machines = described_machines(arguments)
    start, lines = time.perf_counter(), []
    with (arguments.out or Path(os.devnull)).open("w") as file:
        for name, some in parts(chosen, binaries, machines, arguments):
            for line in some:
                lines.append(line)
                text = json.dumps(finite(line), allow_nan=False)
                print(text, flush=True)
                print(text, file=file, flush=True)
            say(f"{name}: done after {time.perf_counter() - start:.0f} s")
    say("\n" + table([line for line in lines if "ours_s" in line]))
    say(google_benchmark.table([line for line in lines if "ours_s" not in line]))
    return int(any("refused" in line for line in lines))


def described_machines(arguments) -> list:
    """What each number of threads can do; said once, with the load that other work puts on the machine."""
    import machine

    load = os.getloadavg()
    counts = [1] if arguments.tiny else thread_counts(machine.cpu_count(), arguments.all)
    numbers = 1 << 20 if arguments.tiny else machine.NUMBERS
    machines = [machine.measure(threads, numbers) for threads in counts]
    for one in machines:
        say(f"{one.threads} thread(s): {one.as_json()}")
    say(f"{machine.versions()}\nload average before: {load[0]:.2f}; other work on this machine makes the times wrong")
    return machines


def parts(cases: list, binaries: list[Path], machines: list, arguments) -> Iterator[tuple[str, list[dict]]]:
    """Names and lines, one part after the other."""
    import google_benchmark

    for case in cases:
        for shape in shapes(case, arguments):
            yield f"{case.name} {shape}", measured(case, shape, machines, arguments)
    for binary in binaries:
        yield binary.name, google_benchmark.lines(binary, quick=arguments.tiny)


def shapes(case, arguments) -> list[dict]:
    if arguments.tiny:
        return [case.tiny]
    if not arguments.all:
        return list(case.shapes[:1])
    return [shape for shape in case.shapes if re.search(arguments.shapes, shape_text(shape))]


def shape_text(shape: dict) -> str:
    return " ".join(f"{name[0].upper()}{size}" for name, size in shape.items())


def measured(case, shape: dict, machines: list, arguments) -> list[dict]:
    """The lines of one case on one shape."""
    import harness

    rows = case.rows(shape)
    if not arguments.tiny and (wanted := getattr(case, "threads", None)):
        machines = [one for one in machines if one.threads in wanted] or machines[-1:]
    if arguments.malloc == "kept":
        environment.reserve(5 * case.input_bytes(shape))  # the inputs, and what the hungriest peer adds to them
    peers, times, errors, wrong = timed(case, shape, machines, everywhere=arguments.all)
    right = sound(rows, wrong)
    compared = {harness.side_of(name) for name in fastest(right, times)}
    weighed = {harness.side_of(row.side) for row in right} | (peers if arguments.all else compared & peers)
    peaks = {} if arguments.tiny else measured_peaks(case, shape, sorted(weighed), machines[-1].threads)
    return [
        heading(case, shape, row, one) | {"malloc": arguments.malloc} | content(row, one, times, errors, peaks, wrong)
        for one in machines
        for row in rows
    ]


def sound(rows: list, wrong: dict[str, str]) -> list:
    """The rows that need no wrong result."""
    import harness

    return [row for row in rows if not wrong.keys() & {harness.side_of(name) for name in (row.side, *row.against)}]


def timed(case, shape: dict, machines: list, *, everywhere: bool) -> tuple[set, dict, dict, dict]:
    """Which sides are peers; per thread count all times and errors; and of ours, what is wrong with the wrong ones."""
    import harness
    import torch

    problem = case.problem(shape)
    sides, reference = case.sides(problem), case.reference(problem)
    times, errors, wrong = {}, {}, {}
    for one in reversed(machines):  # many threads first: that is where the peers warm up
        torch.set_num_threads(one.threads)
        found = dict(errors[machines[-1].threads]) if errors else {}
        for name, side in sides.items():
            if not (side.peer and name in found):  # ours is checked with every thread count
                found[name] = case.errors(reference, problem, side)
            excess = beyond(found[name], case.tolerance)
            if excess and not side.peer:
                wrong[name] = f"{excess} on {one.threads} thread(s)"
        errors[one.threads] = found
        right = {name: side for name, side in sides.items() if name not in wrong}
        times[one.threads] = harness.alternate(right, case.rounds)
        if not everywhere and not getattr(case, "keeps_slow_peers", False):
            sides = harness.without_slow_peers(sides, times[one.threads], sound(case.rows(shape), wrong))
    return {name for name, side in case.sides(problem).items() if side.peer}, times, errors, wrong


def beyond(errors: dict[str, float], tolerance: dict[str, float]) -> str:
    excess = [(name, got, tolerance[name]) for name, got in errors.items() if got > tolerance[name]]
    return ", ".join(f"{name} {got:.2g} > {most:.2g}" for name, got, most in excess)


def fastest(rows: list, times: dict) -> set[str]:
    """What the rows are compared with: the fastest of each row's peers, for each thread count."""
    import harness

    return {harness.fastest(row.against, seconds) for seconds in times.values() for row in rows}


def measured_peaks(case, shape: dict, names: list[str], threads: int) -> dict[str, float | None]:

    return {name: _peak(case.name, shape, name, threads) for name in names}


def _peak(case: str, shape: dict, side: str, threads: int) -> float | None:
    """In megabytes; None where the process ended early, for want of memory or otherwise: the times are kept."""
    import peak_memory

    try:
        return peak_memory.peak_mb(case, shape, side, threads)
    except RuntimeError as error:
        say(str(error))
        return None


def heading(case, shape: dict, row, one) -> dict:
    import machine

    return {
        "name": case.name,
        "variant": row.variant,
        "shape": shape,
        "shape_text": shape_text(shape),
        "dtype": str(case.dtype).removeprefix("torch."),
        "threads": one.threads,
        "versions": machine.versions(),
        "machine": one.as_json(),
    }


def content(row, one, times: dict, errors: dict, peaks: dict, wrong: dict) -> dict:
    import harness

    for name in map(harness.side_of, (row.side, *row.against)):
        if name in wrong:
            return {"ours_s": None, "refused": f"{name}: {wrong[name]}", "errors": errors[one.threads].get(row.side)}
    return harness.line(row, times[one.threads], errors[one.threads], peaks, one)


def thread_counts(cpus: int, every: bool) -> list[int]:
    """1 and 2; with `every` also 4, 8, ... up to the number of processors."""
    counts = [1]
    while 2 * counts[-1] <= cpus and (every or len(counts) < 2):
        counts.append(2 * counts[-1])
    return counts


def finite(value):
    """JSON has no infinity, which is what a result that is not a number has as its error: null."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
