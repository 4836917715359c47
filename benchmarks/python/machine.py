"""What this machine can do, measured: bytes and flops per second, for the limits that the results are held against."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("torch", "trl", "liger_kernel", "transformers", "faiss-cpu", "vendi-score", "vlmprobe")
NUMBERS = 1 << 28  # float32: 1 GiB, beyond any cache
PRODUCTS = ((512, 1536, 4096), (1024, 1024, 1024), (2048, 1536, 2048))


@dataclass(frozen=True)
class Machine:
    threads: int
    read: float
    """Bytes per second, read once."""
    update: float
    """Bytes per second of reading and writing back in place, both counted."""
    flops: dict[torch.dtype, float]
    """Per second, of a matrix product with float32 or bfloat16 operands."""
    left_out: tuple[str, ...] = ()
    """Ways to multiply that this processor does not have, each with the words in which it was refused."""

    def as_json(self) -> dict:
        return {
            "cpu": cpu_name(),
            "isa": isa(),
            "read_gb_s": round(self.read / 1e9, 1),
            "update_gb_s": round(self.update / 1e9, 1),
            "gemm_float32_gflop_s": round(self.flops[torch.float32] / 1e9, 1),
            "gemm_bfloat16_gflop_s": round(self.flops[torch.bfloat16] / 1e9, 1),
            **({"left_out": list(self.left_out)} if self.left_out else {}),
        }


def measure(threads: int, numbers: int = NUMBERS) -> Machine:
    torch.set_num_threads(threads)
    read, update = bandwidth(numbers)
    left_out: list[str] = []
    flops = {dtype: product(dtype, left_out) for dtype in (torch.float32, torch.bfloat16)}
    return Machine(threads, read, update, flops, tuple(left_out))


def bandwidth(numbers: int) -> tuple[float, float]:
    """Of one pass over memory, by torch's fastest reader; and of one pass in place."""
    values = torch.ones(numbers)
    wide = values.view(torch.float64)
    size = values.numel() * values.element_size()
    readers = (values.sum, values.max, values.norm, values.aminmax, wide.sum, lambda: torch.dot(values, values))
    writers = (values.neg_, lambda: values.mul_(1.0), lambda: values.add_(1.0))
    return size / min(map(shortest, readers)), 2 * size / min(map(shortest, writers))


def blocked(left: torch.Tensor, right: torch.Tensor) -> Callable[[], object]:
    """A product in oneDNN's own layout."""
    left, right = left.to_mkldnn(), right.to_mkldnn()
    return lambda: torch.nn.functional.linear(left, right)


WAYS = {"torch.mm": lambda left, right: lambda: torch.mm(left, right.T), "oneDNN": blocked}


@torch.no_grad()
def product(dtype: torch.dtype, left_out: list[str]) -> float:
    """The fastest of the ways to multiply: on some processors torch.mm is far from the peak, on some oneDNN refuses.

    What is refused is found out by trying, and its words are added to `left_out`.
    """
    fastest = 0.0
    for way, prepared in WAYS.items():
        try:
            for m, k, n in PRODUCTS:
                call = prepared(torch.randn(m, k).to(dtype), torch.randn(n, k).to(dtype))
                fastest = max(fastest, 2 * m * k * n / shortest(call))
        except RuntimeError as refused:
            left_out.append(f"{way} in {str(dtype).removeprefix('torch.')}: {str(refused).splitlines()[0]}")
    return fastest


def shortest(call: Callable[[], object], repeats: int = 5) -> float:
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def isa() -> str:
    from vlmprobe import grpo

    return f"torch {torch.backends.cpu.get_cpu_capability()}, vlmprobe {'/'.join(grpo.simd_targets())}"


def cpu_count() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
