"""The peak of a call's memory above its inputs, in a fresh process: `python peak_memory.py CASE SHAPE SIDE THREADS`.

The process first makes the same call on a tiny shape, so that code, threads and tables are already there; builds the
real inputs; gives free memory back; resets the kernel's high-water mark, and makes one call. The allocator has its
default settings. Prints bytes; `peak_mb` is None where the system has no such mark (Linux has).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import subprocess
import sys
from pathlib import Path

import environment

STATUS = Path("/proc/self/status")


def peak_mb(case: str, shape: dict[str, int], side: str, threads: int) -> float | None:
    """Megabytes (10^6 bytes) beyond the inputs, outputs and gradients included."""
    if not STATUS.exists():
        return None
    command = [sys.executable, __file__, case, json.dumps(shape), side, str(threads)]
    done = subprocess.run(command, env=environment.variables("default"), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise RuntimeError(f"[bench] memory of {case}, {side}: the process ended with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1]) / 1e6


def main() -> None:
    import torch
    from cases import CASES

    name, shape, side, threads = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    case = next(case for case in CASES if case.name == name)
    torch.set_num_threads(threads)
    call(case.sides(case.problem(case.tiny))[side])

    chosen = case.sides(case.problem(shape))[side]
    chosen.prepare()
    gc.collect()
    give_back()
    with contextlib.suppress(OSError):  # where it is forbidden, the mark also counts the making of the inputs
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
    before = kilobytes("VmRSS")
    result = chosen.run()
    peak = kilobytes("VmHWM")
    del result
    print(max(0, peak - before) * 1024)


def call(side) -> None:
    side.prepare()
    side.run()


def give_back() -> None:
    """Memory that was freed but kept would hide what the call takes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def kilobytes(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1])


if __name__ == "__main__":
    main()
