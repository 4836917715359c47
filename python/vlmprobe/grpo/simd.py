"""The instruction sets that the loops over the vocabulary can use."""

from __future__ import annotations

from vlmprobe import _core

_native = _core.grpo


def simd_targets() -> tuple[str, ...]:
    """What the loops over the vocabulary can run on here, slowest first: `aten`, `baseline`, `avx2`, `avx512`."""
    return tuple(_native.simd_targets())


def limit_simd(target: str | None) -> None:
    """Use nothing faster than `target` from now on, in this process; None lifts the limit. For tests and benchmarks.

    Raises:
        ValueError: a target that is not in `simd_targets()`.
    """
    _native.limit_simd(target)
