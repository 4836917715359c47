"""The kinds of cases: what is computed by whom, on which shapes.

A case builds its inputs (`problem`), the ways to compute it (`sides`) and its float64 reference (`reference`), and
lists its lines (`rows`). The first shape is the one of `make bench`; `make bench-record` takes them all.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import ClassVar

import torch
from harness import Row, Side, Work

from . import ours, peers
from .problems import LinearProblem, LogitsProblem, RewardProblem
from .reference import AdvantageReference, LinearReference, LogitsReference

VOCABULARY = 151936  # Qwen's
WIDTH = 1536
SMALL_MB = 4  # a first large call also touches pages of code and stacks
LOW_MEMORY = 64 << 20


@dataclass(frozen=True)
class Case:
    name: str
    dtype: torch.dtype
    ratio: float
    half_ratio: float
    tolerance: dict[str, float]
    rounds: int = 5

    @property
    def bytes(self) -> int:
        return self.dtype.itemsize

    def input_bytes(self, shape: dict) -> int:
        """Of the logits and of the head, where there is one."""
        return (shape["B"] * shape["T"] + shape.get("H", 0)) * shape["V"] * self.bytes

    def errors(self, reference, problem, side: Side) -> dict[str, float]:
        """One call of a side, held against the reference."""
        side.prepare()
        return reference.errors(side.run(), problem.masks[side.mask])

    def half_masked(self, side: str, full: str, work: Work) -> Row:
        return Row("half_masked", side, (full,), work, ratio=self.half_ratio)


@dataclass(frozen=True)
class TokenLogpCase(Case):
    of_bandwidth: float | None = None
    shapes = ({"B": 4, "T": 256, "V": VOCABULARY},)
    tiny: ClassVar = {"B": 2, "T": 8, "V": 4096}
    reference = LogitsReference

    def problem(self, shape: dict) -> LogitsProblem:
        return LogitsProblem(self.dtype, **shape)

    def sides(self, problem: LogitsProblem) -> dict[str, Side]:
        full = functools.partial(ours.token_logp, problem, None)
        half = functools.partial(ours.token_logp, problem, problem.masks["half"])
        return {
            "vlmprobe": Side(full),
            "TRL": Side(functools.partial(peers.trl_token_logp, problem), peer=True),
            "vlmprobe, half masked": Side(half, mask="half"),
        } | without_avx512(full)

    def rows(self, shape: dict) -> list[Row]:
        count, outputs = shape["B"] * shape["T"], shape["B"] * shape["T"] * 8 / 1e6
        size = count * shape["V"] * self.bytes
        work = Work(read=size)
        errors = {"logp": 2e-5}
        rows = [
            Row("", "vlmprobe", ("TRL",), work, self.ratio, outputs + SMALL_MB, self.of_bandwidth, errors),
            self.half_masked("vlmprobe, half masked", "vlmprobe", Work(read=size / 2)),
        ]
        return rows + avx2_rows(self.ratio, work)


@dataclass(frozen=True)
class LossFromLogitsCase(Case):
    rounds: int = 3
    shapes = ({"B": 4, "T": 256, "V": VOCABULARY},)
    tiny: ClassVar = {"B": 2, "T": 8, "V": 4096}
    reference = LogitsReference

    def problem(self, shape: dict) -> LogitsProblem:
        return LogitsProblem(self.dtype, **shape)

    def sides(self, problem: LogitsProblem) -> dict[str, Side]:
        def call(mask: str, inplace: bool):
            return functools.partial(ours.loss_from_logits, problem, problem.masks[mask], inplace=inplace)

        return {
            "vlmprobe": Side(call("full", True), problem.restore_live),
            "TRL": Side(functools.partial(peers.trl_loss_from_logits, problem), peer=True),
            "vlmprobe, out of place": Side(call("full", False)),
            "vlmprobe, half masked": Side(call("half", True), problem.restore_live, mask="half"),
        } | without_avx512(call("full", True), problem.restore_live)

    def rows(self, shape: dict) -> list[Row]:
        size = shape["B"] * shape["T"] * shape["V"] * self.bytes
        work = Work(updated=2 * size)  # the logits are read, the gradient is written, each once
        half = Work(updated=1.5 * size)  # half of them are read; the whole gradient is written, half of it zeros
        apart = ("vlmprobe, out of place", ("TRL",), work, self.ratio, size / 1e6 + SMALL_MB)
        rows = [
            Row("", "vlmprobe", ("TRL",), work, self.ratio, SMALL_MB),
            Row("out_of_place", *apart),
            self.half_masked("vlmprobe, half masked", "vlmprobe", half),
        ]
        return rows + avx2_rows(self.ratio, work)


@dataclass(frozen=True)
class LinearLossCase(Case):
    frozen: bool = False
    rounds: int = 3
    shapes = tuple({"B": b, "T": t, "H": WIDTH, "V": VOCABULARY} for b, t in ((1, 128), (1, 256), (4, 256)))
    tiny: ClassVar = {"B": 2, "T": 8, "H": 256, "V": 4096}
    reference = LinearReference

    def problem(self, shape: dict) -> LinearProblem:
        return LinearProblem(self.dtype, **shape, frozen=self.frozen)

    def sides(self, problem: LinearProblem) -> dict[str, Side]:
        def side(call, mask: str = "full", **options) -> Side:
            run = functools.partial(call, problem, problem.masks[mask], **options)
            return Side(run, problem.clear_gradients, mask)

        def peer(call) -> Side:
            return Side(functools.partial(call, problem), problem.clear_gradients, peer=True)

        sides = {
            "vlmprobe": side(ours.linear_loss),
            "materialised": peer(peers.materialised),
            "vlmprobe, half masked": side(ours.linear_loss, "half"),
            "TRL chunked": peer(peers.trl_chunked),
            "Liger": peer(peers.liger),
        }
        if not self.frozen:
            sides["vlmprobe, low memory"] = side(ours.linear_loss, logits_bytes=LOW_MEMORY)
        return sides

    def rows(self, shape: dict) -> list[Row]:
        head = shape["V"] * shape["H"] * self.bytes
        products = (2 if self.frozen else 3) * 2 * shape["B"] * shape["T"] * shape["H"] * shape["V"]
        written = 0 if self.frozen else head
        work, half = (Work(head, written, flops, self.dtype) for flops in (products, products / 2))
        peak = 150 if self.frozen else head / 1e6 + 500
        rows = [
            Row("", "vlmprobe", ("materialised", "TRL chunked", "Liger"), work, self.ratio, peak),
            self.half_masked("vlmprobe, half masked", "vlmprobe", half),
        ]
        if not self.frozen:
            chunked = ("TRL chunked", "Liger")
            rows.append(Row("low_memory", "vlmprobe, low memory", chunked, work, 1.0, head / 1e6 + 100))
        return rows


@dataclass(frozen=True)
class AdvantageCase:
    name: str
    ratio: float
    dtype = torch.float32
    tolerance: ClassVar = {"advantage": 1e-5, "bits with 1, 2, 3 threads": 0.0}
    rounds = 15
    shapes = ({"B": 4096, "group_size": 8},)
    tiny: ClassVar = {"B": 64, "group_size": 8}
    reference = AdvantageReference

    def input_bytes(self, shape: dict) -> int:
        return shape["B"] * (4 + 8)

    def problem(self, shape: dict) -> RewardProblem:
        return RewardProblem(**shape)

    def sides(self, problem: RewardProblem) -> dict[str, Side]:
        return {
            "vlmprobe": Side(functools.partial(ours.group_advantages, problem), calls=200),
            "TRL": Side(functools.partial(peers.trl_advantages, problem), peer=True, calls=200),
        }

    def errors(self, reference, problem: RewardProblem, side: Side) -> dict[str, float]:
        found = reference.errors(side.run())
        return found if side.peer else found | {"bits with 1, 2, 3 threads": float(bits_depend_on_threads(side))}

    def rows(self, shape: dict) -> list[Row]:
        work = Work(read=shape["B"] * (4 + 8), updated=shape["B"] * 8)  # rewards and groups in, float32 or float64 out
        return [Row("", "vlmprobe", ("TRL",), work, self.ratio)]


def bits_depend_on_threads(side: Side) -> bool:
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(side.run())
    torch.set_num_threads(before)
    first, *others = ([value.numpy().tobytes() for value in result.values()] for result in results)
    return any(other != first for other in others)


def without_avx512(call, prepare=lambda: None) -> dict[str, Side]:
    return {"vlmprobe, avx2": Side(ours.limited(call, "avx2"), prepare)} if ours.can_limit("avx2") else {}


def avx2_rows(ratio: float, work: Work) -> list[Row]:
    return [Row("avx2", "vlmprobe, avx2", ("TRL",), work, ratio / 2)] if ours.can_limit("avx2") else []
