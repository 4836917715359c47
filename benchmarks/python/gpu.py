"""The benchmarks on a CUDA device: the update with and without shared prompts, the loss with and without whole logits.

    python benchmarks/python/gpu.py [--cases REGEX] [--out FILE] [--repeats N] [--quick | --tiny] [--device cpu]

Lines and table as those of `bench.py`; a megabyte is 10^6 bytes. Times are CUDA events' around a call, all sides in
turn; `ratio` is that of the medians, `ratio_interval` holds the median of the paired ratios with 95 % confidence
(order statistics, no assumption). The peak is the allocator's, above what was there before the call, of each phase its
own. A result is held against its reference before it is timed. The interval is one of repetitions in one process on one
card: it says nothing of other cards or shapes. With --quick: the first shapes; with --tiny: nothing but whether the
programme runs.

- `questioner_update_gpu`: `vlmprobe` as it comes, which on a GPU shares prompts in the loss; `plain` is ours too, with
  the prompt repeated for every completion. `shared sampling` is what sampling from shared prompts would be.
- `linear_loss_gpu`: `materialised` is plain PyTorch: logits by the head, widened to float32, log_softmax, gather, the
  clipped loss with its KL, backward. It computes no entropy, ours does.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from bench import beyond, finite, say, shape_text
from grpo.cases import LINEAR_BF16
from grpo.problems import BETA, CLIP, LinearProblem
from grpo.reference import LinearReference
from harness import Row, Work, line, paired_ratios
from machine import Machine, versions
from questioner.ours import OPTIONS, OurUpdate
from questioner.problem import FULL, LARGE, TINY, Problem
from table import table

import vlmprobe
from grpo import ours as grpo_ours

VOCABULARY, WIDTH = 151936, 2048
PHASES = ("generation", "forward", "backward")
WARM_UP = 1  # every side was called to be checked
UPDATES = 9  # repeats; each takes half a second
CONFIDENCE = 0.95
LOGP = {torch.float32: 1e-3, torch.bfloat16: 0.25}
"""Largest difference of a log-probability between the ways: TF32 is off, a bfloat16 state has eight bits."""


@dataclass(frozen=True)
class Took:
    """Of a call, or of a phase of it."""

    seconds: float
    peak_mb: float | None
    """Above what was there before the call."""


@dataclass(frozen=True)
class Way:
    """One side of a comparison."""

    step: Callable[[], dict[str, Took]]
    """One call: its phases by name, the whole under the empty name."""
    clear: Callable[[], object] = lambda: None
    """Before each call, not timed."""


@dataclass(frozen=True)
class Compared:
    """Two ways, sound, with what their lines say."""

    name: str
    shape: dict
    dtype: torch.dtype
    sides: dict[str, Way]
    rows: list[Row]
    errors: dict[str, dict[str, float]]
    tolerance: dict[str, float]
    most_repeats: int = 1000


class Meter:
    """Time and memory of the parts of a call, on the device's own time line."""

    def __init__(self, device: str):
        self._cuda = device == "cuda"

    def start(self) -> None:
        self._marks, self._peaks, self._before = [], [], 0
        if self._cuda:
            torch.cuda.synchronize()
            self._before = torch.cuda.memory_allocated()
        self.mark()

    def mark(self) -> None:
        """The end of a part; the first one begins."""
        if not self._cuda:
            return self._marks.append(time.perf_counter())
        self._peaks.append((torch.cuda.max_memory_allocated() - self._before) / 1e6)
        torch.cuda.reset_peak_memory_stats()
        self._marks.append(torch.cuda.Event(enable_timing=True))
        self._marks[-1].record()

    def parts(self) -> list[Took]:
        if not self._cuda:
            return [Took(later - sooner, None) for sooner, later in pairwise(self._marks)]
        torch.cuda.synchronize()
        seconds = [sooner.elapsed_time(later) / 1e3 for sooner, later in pairwise(self._marks)]
        return [Took(*part) for part in zip(seconds, self._peaks[1:], strict=True)]


def together(*parts: Took) -> Took:
    peaks = [part.peak_mb for part in parts if part.peak_mb is not None]
    return Took(sum(part.seconds for part in parts), max(peaks) if peaks else None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="", metavar="REGEX", help="only the cases whose name this is found in")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the lines go here as well")
    parser.add_argument("--repeats", type=int, default=20, metavar="N", help="times each side is timed")
    parser.add_argument("--quick", action="store_true", help="the first shape of each case")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, to try the programme")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try the programme")
    arguments = parser.parse_args()

    about, card = described(arguments.device, arguments.tiny)
    say(json.dumps(about))
    lines, refused = [], False
    with (arguments.out or Path(os.devnull)).open("w") as file:
        for case in cases(arguments):
            wrong = {name: beyond(found, case.tolerance) for name, found in case.errors.items()}
            if any(wrong.values()):
                refused = True
                say(f"{case.name} {shape_text(case.shape)}: NOT TIMED: {wrong}")
                continue
            for found in measured(case, about, card, arguments):
                lines.append(found)
                text = json.dumps(finite(found), allow_nan=False)
                print(text, flush=True)
                print(text, file=file, flush=True)
            say(table(lines[-len(case.rows) :]))
    return int(refused)


def cases(arguments) -> Iterator[Compared]:
    for make, shapes, tiny in (
        (linear_losses, LINEAR_SHAPES, {"B": 2, "T": 8, "H": 256, "V": 4096}),
        (updates, UPDATE_SHAPES, {"I": 2, "G": 2, "P": 40, "T": 6}),
    ):
        for shape in [tiny] if arguments.tiny else shapes[: 1 if arguments.quick else None]:
            yield from make(shape, arguments)
            gc.collect()
            if arguments.device == "cuda":
                torch.cuda.empty_cache()


LINEAR_SHAPES = tuple(
    {"B": b, "T": t, "H": WIDTH, "V": VOCABULARY} for b, t in ((4, 256), (1, 128), (1, 256), (16, 512))
)
UPDATE_SHAPES = (
    {"I": 2, "G": 8, "P": 1000, "T": 64},
    {"I": 2, "G": 8, "P": 400, "T": 64},
    {"I": 2, "G": 4, "P": 1000, "T": 64},
    {"I": 2, "G": 16, "P": 1000, "T": 64},
    {"I": 2, "G": 8, "P": 2000, "T": 64},
)
"""Those of `bench.py`; the first of each is also run with the large model."""


def linear_losses(shape: dict, arguments) -> Iterator[Compared]:
    for name in ("linear_loss_gpu", "linear_loss_frozen_gpu"):
        if re.search(arguments.cases, name):
            yield linear_loss(name, shape, "frozen" in name, arguments.device)


def linear_loss(name: str, shape: dict, frozen: bool, device: str) -> Compared:
    problem = LinearProblem(torch.bfloat16, **shape, frozen=frozen, device=device)
    calls = {
        "vlmprobe": lambda: grpo_ours.linear_loss(problem, problem.masks["full"]),
        "materialised": lambda: materialised(problem),
    }
    reference = LinearReference(problem)
    errors = {}
    for side, call in calls.items():
        problem.clear_gradients()
        errors[side] = reference.errors(call(), problem.masks["full"])
    problem.clear_gradients()
    head = shape["V"] * shape["H"] * 2
    products = (2 if frozen else 3) * 2 * shape["B"] * shape["T"] * shape["H"] * shape["V"]
    row = Row("", "vlmprobe", ("materialised",), Work(head, 0 if frozen else head, products, torch.bfloat16))
    sides = {side: Way(whole(call, Meter(device)), problem.clear_gradients) for side, call in calls.items()}
    return Compared(name, shape, torch.bfloat16, sides, [row], errors, LINEAR_BF16)


def materialised(problem: LinearProblem) -> dict:
    """The same loss and gradients in plain PyTorch."""
    logits = torch.nn.functional.linear(problem.hidden, problem.weight)
    logp = logits.float().log_softmax(-1).gather(-1, problem.tokens.unsqueeze(-1)).squeeze(-1)
    advantages = problem.advantages.unsqueeze(1)
    ratio = torch.exp(logp - problem.old_logp)
    objective = torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
    distance = problem.ref_logp - logp
    loss = (BETA * (torch.exp(distance) - distance - 1) - objective).mean(1).mean()
    loss.backward()
    gradients = {"hidden_gradient": problem.hidden.grad, "weight_gradient": problem.weight.grad}
    return {"loss": loss.detach(), "logp": logp.detach(), **gradients}


def whole(call: Callable[[], dict], meter: Meter) -> Callable[[], dict[str, Took]]:
    def step() -> dict[str, Took]:
        meter.start()
        call()
        meter.mark()
        return {"": together(*meter.parts())}

    return step


def updates(shape: dict, arguments) -> Iterator[Compared]:
    models = [("questioner_update_gpu", FULL, torch.float32)]
    if shape == UPDATE_SHAPES[0]:
        models.append(("questioner_update_large_gpu", LARGE, torch.bfloat16))
    if arguments.tiny:
        models = [("questioner_update_gpu", TINY, torch.float32)]
    for name, sizes, dtype in models:
        if re.search(arguments.cases, name):
            yield update(name, shape, sizes, dtype, arguments.device)


def update(name: str, shape: dict, sizes: dict, dtype: torch.dtype, device: str) -> Compared:
    """Both ways hold a model, a gradient and an optimiser of their own."""
    problem = Problem(shape["I"], shape["G"], shape["P"], shape["T"], sizes)
    with torch.device(device):
        problem.weights.to(device)
    ways = {
        side: OurUpdate(problem, packing=packing, device=device, dtype=dtype)
        for side, packing in (("vlmprobe", "auto"), ("plain", "plain"), ("shared sampling", "packed"))
    }
    errors = {side: {"logp": 0.0 if side == "plain" else math.nan} for side in ways}
    generator = torch.Generator().manual_seed(9)
    drawn = torch.randint(
        len(problem.special_ids), sizes["vocabulary"], (problem.rows, shape["T"]), generator=generator
    )
    expected = ways["plain"].logp(drawn)
    for side in ("vlmprobe", "shared sampling"):
        difference = float((ways[side].logp(drawn) - expected).abs().max())
        errors[side]["logp"] = difference if math.isfinite(difference) else math.inf
    rows = [Row(part, named("vlmprobe", part), (named("plain", part),), Work()) for part in ("", "learning", *PHASES)]
    rows.append(Row("shared sampling", "shared sampling: generation", ("plain: generation",), Work()))
    sides = {side: Way(phases(way, Meter(device))) for side, way in ways.items() if side != "shared sampling"}
    sides["shared sampling"] = Way(sampling(ways["shared sampling"], Meter(device)))
    return Compared(name, shape, dtype, sides, rows, errors, {"logp": LOGP[dtype]}, UPDATES)


def phases(update: OurUpdate, meter: Meter) -> Callable[[], dict[str, Took]]:
    """One update of it; `learning` is forward and backward, the optimiser's step in it."""

    def step() -> dict[str, Took]:
        meter.start()
        rollouts = update.ask()
        meter.mark()
        loss = update.questioner.loss(rollouts, update.advantages(rollouts), options=OPTIONS).loss
        meter.mark()
        loss.backward()
        update.optimizer.step()
        update.optimizer.zero_grad()
        meter.mark()
        took = dict(zip(PHASES, meter.parts(), strict=True))
        return {"": together(*took.values()), "learning": together(took["forward"], took["backward"]), **took}

    return step


def sampling(update: OurUpdate, meter: Meter) -> Callable[[], dict[str, Took]]:
    def step() -> dict[str, Took]:
        meter.start()
        update.ask()
        meter.mark()
        return {"generation": together(*meter.parts())}

    return step


def named(side: str, part: str) -> str:
    return f"{side}: {part}" if part else side


def measured(case: Compared, about: dict, card: Machine, arguments) -> Iterator[dict]:
    """The lines of a case."""
    seconds, peaks = timed(case, arguments)
    for row in case.rows:
        found = line(row, seconds, case.errors, {}, card)
        peer = found["peer"]
        ratios = paired_ratios(seconds[peer], seconds[row.side])
        heading = {"name": case.name, "variant": row.variant, "shape": case.shape, "shape_text": shape_text(case.shape)}
        heading |= {"dtype": str(case.dtype).removeprefix("torch."), **about}
        own = {"ours_peak_mb": peaks[row.side], "peer_peak_mb": peaks[peer], "peers_peak_mb": {peer: peaks[peer]}}
        yield heading | found | own | {"ratio_interval": interval(ratios), "ratio_median": statistics.median(ratios)}


def timed(case: Compared, arguments) -> tuple[dict[str, list[float]], dict[str, float | None]]:
    """Seconds and megabytes by side and phase."""
    repeats = 2 if arguments.tiny else min(arguments.repeats, case.most_repeats)
    seconds: dict[str, list[float]] = {}
    peaks: dict[str, float | None] = {}
    gc.collect()
    gc.disable()
    for turn in range(-WARM_UP, repeats):
        for side, way in case.sides.items():
            way.clear()
            for part, took in way.step().items():
                if turn >= 0:
                    seconds.setdefault(named(side, part), []).append(took.seconds)
                    peaks[named(side, part)] = took.peak_mb
    gc.enable()
    return seconds, peaks


def interval(values: list[float]) -> list[float] | None:
    """Of the median: the order statistics that hold it with 95 %; None where there are too few for that."""
    ordered, n = sorted(values), len(values)
    outside = 0.0
    for low in range(n // 2):
        outside += 2 * math.comb(n, low) / 2**n
        if outside > 1 - CONFIDENCE:
            return [ordered[low - 1], ordered[n - low]] if low else None
    return None


def described(device: str, tiny: bool) -> tuple[dict, Machine]:
    """What each line says of where it was made; and the card's measured limits."""
    if device == "cpu":
        card = Machine(torch.get_num_threads(), math.inf, math.inf, {torch.bfloat16: math.inf, torch.float32: math.inf})
        return {"versions": versions(), "machine": {"gpu": "none"}}, card
    copied, product = copy_rate(tiny), product_rate(tiny)
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
    name, driver = subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().split(", ")
    machine = {
        "gpu": name,
        "driver": driver,
        "cuda": torch.version.cuda,
        "copy_gb_s": round(copied / 1e9),
        "gemm_bfloat16_tflop_s": round(product / 1e12),
    }
    known = {name: version for name, version in versions().items() if version != "not installed"}
    known |= {"torch": torch.__version__, "vlmprobe": vlmprobe.__version__}
    rates = {torch.bfloat16: product, torch.float32: math.inf}
    return {"versions": known, "machine": machine}, Machine(torch.get_num_threads(), copied, copied, rates)


def copy_rate(tiny: bool) -> float:
    """Bytes per second, read and written, of a copy on the device."""
    source = torch.randn((1 << 20) if tiny else (1 << 29), device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / shortest(lambda: target.copy_(source))


def product_rate(tiny: bool) -> float:
    """Operations per second of a product of bfloat16 matrices."""
    size = 512 if tiny else 8192
    left, right = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 / shortest(lambda: left @ right)


def shortest(call: Callable[[], object]) -> float:
    step = whole(call, Meter("cuda"))
    return min(step()[""].seconds for _ in range(10))


if __name__ == "__main__":
    sys.exit(main())
