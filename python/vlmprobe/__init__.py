"""vlmprobe finds where a vision-language model fails, without human labels.

Importing it is cheap: torch, the C++ core and everything else load when a name is first used (PEP 562).

    import vlmprobe
    vlmprobe.Trainer          # imports torch and the core
    vlmprobe.reward           # the face of one part of the core
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vlmprobe._util.moved import keep_old_places

if TYPE_CHECKING:
    from vlmprobe.modes.now import failure_modes
    from vlmprobe.policy.questioner import Questioner
    from vlmprobe.probe.run import ProbeRun
    from vlmprobe.run.trainer import Trainer
    from vlmprobe.taxonomy.document import Taxonomy, read_taxonomy

__version__ = "0.1.0"

# Names that users reach as vlmprobe.X, and the module that has them.
_NAMES = {
    "ProbeRun": "probe.run",
    "Questioner": "policy.questioner",
    "Taxonomy": "taxonomy.document",
    "Trainer": "run.trainer",
    "failure_modes": "modes.now",
    "read_taxonomy": "taxonomy.document",
}

_MODULES = ("data", "grpo", "ledger", "memory", "metrics", "models", "report", "reward", "text", "world")

__all__ = ["ProbeRun", "Questioner", "Taxonomy", "Trainer", "__version__", "failure_modes", "read_taxonomy"]

keep_old_places()


def __getattr__(name: str) -> Any:
    if name == "_core":  # `from vlmprobe import _core` comes through here, so nobody can skip the check of torch
        return importlib.import_module("vlmprobe._native").core
    if name in _NAMES:
        return getattr(importlib.import_module(f"vlmprobe.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"vlmprobe.{name}")
    raise AttributeError(f"module 'vlmprobe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_NAMES, *_MODULES])
