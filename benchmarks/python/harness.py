"""Timing of several calls in turn, and the lines that say what came out and whether that is enough."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from machine import Machine

QUIET_S = 0.05
"""Between two calls: BLAS and OpenMP threads of the call before spin for up to 25 ms and take a core of the next."""
PHASE = ": "  # between the name of a side and that of its phase
REPEATED_WITHIN = 1.5
"""A peer slower than this many times the fastest peer is timed once: it is not the one compared with."""


@dataclass(frozen=True)
class Side:
    """One way to compute a case."""

    run: Callable[[], dict]
    """Timed; returns what the reference checks."""
    prepare: Callable[[], object] = lambda: None
    """Before each call, not timed."""
    mask: str = "full"
    peer: bool = False
    calls: int = 1
    """Calls per time, for what takes microseconds."""


@dataclass(frozen=True)
class Work:
    """The least that the computation takes: each byte and each product once."""

    read: float = 0
    updated: float = 0
    """Bytes read and written, both counted."""
    flops: float = 0
    dtype: torch.dtype = torch.float32

    def seconds(self, machine: Machine) -> float:
        """0 where no limit is known."""
        return max(self.read / machine.read + self.updated / machine.update, self.flops / machine.flops[self.dtype])


@dataclass(frozen=True)
class Row:
    """One line of a case: a side, what it is compared with, and what it must reach. The ratio is on one thread."""

    variant: str
    side: str
    against: tuple[str, ...]
    work: Work
    ratio: float | None = None
    peak_mb: float | None = None
    of_bandwidth: float | None = None
    errors: dict[str, float] = field(default_factory=dict)
    of_limit: float | None = None
    """Times the limit, at most."""
    peak_share: float | None = None
    """Of the peer's peak, at most."""


def alternate(sides: dict[str, Side], rounds: int) -> dict[str, list[float]]:
    """Seconds per call: every side once a round, in the same order."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name in [name for name in sides if worth_repeating(name, sides, seconds)]:
            took, phases = timed(sides[name])
            seconds[name].append(took)
            for phase, part in phases.items():
                seconds.setdefault(f"{name}{PHASE}{phase}", []).append(part)
    gc.enable()
    return seconds


def worth_repeating(name: str, sides: dict[str, Side], seconds: dict[str, list[float]]) -> bool:
    if not sides[name].peer or not seconds[name]:
        return True
    return seconds[name][0] <= REPEATED_WITHIN * min(seconds[peer][0] for peer, side in sides.items() if side.peer)


def without_slow_peers(sides: dict[str, Side], seconds: dict[str, list[float]], rows: list[Row]) -> dict[str, Side]:
    """What is timed on the next number of threads: ours, the peers worth repeating, and the fastest of each row."""
    kept = {fastest(row.against, seconds) for row in rows}
    return {name: side for name, side in sides.items() if name in kept or worth_repeating(name, sides, seconds)}


def side_of(name: str) -> str:
    """The side that a phase belongs to: "TRL: forward" is a phase of "TRL"."""
    return name.split(PHASE)[0]


def timed(side: Side) -> tuple[float, dict[str, float]]:
    """Seconds per call, and of the phases that the result tells of."""
    side.prepare()
    time.sleep(QUIET_S)
    start = time.perf_counter()
    for _ in range(side.calls):
        result = side.run()
    took = time.perf_counter() - start
    phases = result.get("phases", {})
    del result  # what the call returned is freed outside the time, for all sides alike
    return took / side.calls, phases


def line(row: Row, seconds: dict[str, list[float]], errors: dict, peaks: dict, machine: Machine) -> dict:
    """The JSON line of a row."""
    against = [name for name in row.against if name in seconds]
    peer = fastest(row.against, seconds)
    ours_s, peer_s = statistics.median(seconds[row.side]), statistics.median(seconds[peer])
    limit = row.work.seconds(machine)
    found = {
        "ours_s": ours_s,
        "peer": peer,
        "peer_s": peer_s,
        "ratio": peer_s / ours_s,
        "ours_peak_mb": peaks.get(side_of(row.side)),
        "peer_peak_mb": peaks.get(side_of(peer)),
        "max_error": max(errors[side_of(row.side)].values()),
        "threads": machine.threads,
        "ours_spread_s": spread(seconds[row.side]),
        "peer_spread_s": spread(seconds[peer]),
        "ratio_spread": spread(paired_ratios(seconds[peer], seconds[row.side])),
        "repeats": len(seconds[row.side]),
        "peers_s": {name: statistics.median(seconds[name]) for name in against},
        "peers_peak_mb": {name: peaks.get(side_of(name)) for name in against},
        "errors": errors[side_of(row.side)],
        "peer_errors": errors.get(side_of(peer)),
        "limit_s": limit or None,
        "of_limit": ours_s / limit if limit else None,
    }
    targets = judged(row, found, machine)
    at_limit = bool(limit) and found["of_limit"] <= 1.5
    return found | {"targets": targets, "met": all(target["met"] for target in targets), "at_limit": at_limit}


def fastest(names: tuple[str, ...], seconds: dict[str, list[float]]) -> str:
    return min((name for name in names if name in seconds), key=lambda name: statistics.median(seconds[name]))


def judged(row: Row, found: dict, machine: Machine) -> list[dict]:
    """Each target with its number. On two threads 0.8 of a ratio is asked, on more nothing is said of ratios."""
    share = {1: 1.0, 2: 0.8}.get(machine.threads)
    targets = []
    if row.ratio is not None and share is not None:
        targets.append(at_least("ratio", found["ratio"], share * row.ratio))
    if row.of_bandwidth is not None:
        targets.append(at_least("share of read bandwidth", found["limit_s"] / found["ours_s"], row.of_bandwidth))
    if row.of_limit is not None:
        targets.append(at_most("times the limit", found["of_limit"], row.of_limit))
    if row.peak_mb is not None and found["ours_peak_mb"] is not None:
        targets.append(at_most("ours_peak_mb", found["ours_peak_mb"], row.peak_mb))
    peaks = found["ours_peak_mb"], found["peer_peak_mb"]
    if row.peak_share is not None and None not in peaks:
        targets.append(at_most("share of the peer's peak", peaks[0] / peaks[1], row.peak_share))
    return targets + [at_most(f"error of {name}", found["errors"][name], most) for name, most in row.errors.items()]


def at_least(what: str, got: float, bound: float) -> dict:
    return {"of": what, "at_least": bound, "got": got, "met": got >= bound}


def at_most(what: str, got: float, bound: float) -> dict:
    return {"of": what, "at_most": bound, "got": got, "met": got <= bound}


def paired_ratios(peer: list[float], ours: list[float]) -> list[float]:
    """Round by round; a peer that was timed once is paired with every round."""
    peer = peer if len(peer) == len(ours) else peer[:1] * len(ours)
    return [theirs / mine for theirs, mine in zip(peer, ours, strict=True)]


def spread(values: list[float]) -> list[float]:
    return [min(values), max(values)]
