"""The door to the C++ core: imports torch, checks that it is the one the core was built against, loads the core.

from vlmprobe._native import core
"""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING

BUILD = "in a checkout run `make build`, elsewhere `pip install --force-reinstall --no-deps vlmprobe`"


def check_torch(built: str, installed: str) -> None:
    """Refuse a torch of another minor version than the core was built against.

    Args:
        built: "X.Y" or longer, of the build.
        installed: `torch.__version__`.

    Raises:
        ImportError: the minor versions differ; the message holds both and the two ways out.
    """
    if _minor(built) != _minor(installed):
        raise ImportError(
            f"vlmprobe._core: expected torch {built}, which it was built against, got torch {installed}; "
            f"install that torch (pip install 'torch=={_minor(built)}.*') or build vlmprobe again ({BUILD})"
        )


def load() -> ModuleType:
    """The module `vlmprobe._core`, checked.

    Raises:
        ImportError: torch is missing or of another minor version, or the core is not built for this Python.
    """
    try:
        info = importlib.import_module("vlmprobe._build_info")
    except ModuleNotFoundError:
        raise ImportError(f"vlmprobe._core: expected it to be built, found none; {BUILD}") from None
    try:
        torch = importlib.import_module("torch")  # before the core: one OpenMP runtime, exception translators in place
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"vlmprobe needs PyTorch: pip install 'torch=={_minor(info.torch)}.*'") from None
    check_torch(info.torch, torch.__version__)
    try:
        found = importlib.import_module("vlmprobe._core")
    except ModuleNotFoundError as error:
        if error.name != "vlmprobe._core":
            raise
        found = None
    if found is None or getattr(found, "__file__", None) is None:  # none, or the folder of types taken for a package
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise ImportError(f"vlmprobe._core: expected a build for Python {python}, found none; {BUILD}")
    hold_to_torch(torch, found)
    return found


def hold_to_torch(torch: ModuleType, core: ModuleType) -> None:
    """Where torch is held to AVX2 (ATEN_CPU_CAPABILITY), so are vlmprobe's kernels: results are then those of a
    processor that has no more."""
    if torch.backends.cpu.get_cpu_capability() == "AVX2" and "avx2" in core.grpo.simd_targets():
        core.grpo.limit_simd("avx2")


def _minor(version: str) -> str:
    match = re.match(r"\d+\.\d+", version)
    return match[0] if match else version


if TYPE_CHECKING:
    from vlmprobe import _core as core
else:
    core = load()
