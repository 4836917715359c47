"""The C++ benchmarks (Google Benchmark), run as programmes, and their reports as lines beside those of Python.

On one thread, but for those whose name says another number (`threads:2`).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
REPETITIONS = 5


def found(folder: Path, pattern: str) -> list[Path]:
    """The programmes `bench_*` of a folder; a missing or empty one is an error."""
    binaries = sorted(path for path in folder.glob("bench_*") if path.is_file() and not path.suffix)
    if not binaries:
        raise SystemExit(f"[bench] --cpp: expected a folder with bench_* programmes, got {str(folder)!r}")
    return [path for path in binaries if re.search(pattern, path.name)]


def lines(binary: Path, *, quick: bool) -> list[dict]:
    """A line per benchmark: median, least and greatest of the repetitions, in seconds."""
    command = [binary, "--benchmark_format=json", f"--benchmark_repetitions={1 if quick else REPETITIONS}"]
    command += ["--benchmark_min_time=0.001"] if quick else ["--benchmark_enable_random_interleaving=true"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(f"[bench] {binary.name} ended with {done.returncode}")
    report = json.loads(done.stdout)
    runs: dict[str, list[dict]] = {}
    for run in report["benchmarks"]:
        if run["run_type"] == "iteration":
            runs.setdefault(run["name"], []).append(run)
    return [line(binary.name, name, some, report["context"]) for name, some in runs.items()]


def line(binary: str, name: str, runs: list[dict], context: dict) -> dict:
    head = {"name": f"{binary}/{name}", "language": "C++", "library": context.get("library_build_type")}
    if any(run.get("error_occurred") for run in runs):
        return head | {"refused": next(run["error_message"] for run in runs if run.get("error_occurred"))}
    seconds = sorted(run["real_time"] * SECONDS[run["time_unit"]] for run in runs)
    rates = {key: runs[0][key] for key in ("bytes_per_second", "items_per_second") if key in runs[0]}
    named = re.search(r"threads:(\d+)", name)
    threads = int(named[1]) if named else 1
    spread = {"spread_s": [seconds[0], seconds[-1]], "repeats": len(seconds), "threads": threads}
    return head | {"seconds": seconds[len(seconds) // 2]} | spread | rates


def table(lines: list[dict]) -> str:
    return "\n".join(f"{one['name']:<60} {shown(one)}" for one in lines)


def shown(one: dict) -> str:
    if "refused" in one:
        return f"NOT TIMED: {one['refused']}"
    low, high = one["spread_s"]
    return f"{one['seconds'] * 1e6:.2f} us ({low * 1e6:.2f} to {high * 1e6:.2f})"
