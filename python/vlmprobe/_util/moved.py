"""Modules that have another place now: the old one still gives their names, and says where they are."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "vlmprobe."
MOVED = {
    "asked": ["policy.asker", "loop.ask"],
    "canaries": ["run.canaries"],
    "checkpoint": ["run.checkpoint"],
    "judgings": ["review.again"],
    "labels": ["review.people"],
    "models.hf": ["vlm.model", "vlm.answerer", "vlm.load"],
    "models.lora": ["vlm.lora"],
    "overlap": ["run.overlap"],
    "questioner": ["policy.questioner", "policy.preface"],
    "rollout": ["policy.sampling"],
    "run_directory": ["run.directory"],
    "step_report": ["loop.report"],
    "trainer": ["run.trainer", "loop.trainer"],
    "verdict": ["models.verdict"],
}
"""Old module -> those that have its names now. What means something else now (`evaluation`, `examine`, `steps`,
`summary`) is not here: it must not be taken for what it was."""


class Moved(MetaPathFinder, Loader):
    """Is asked for a module that is nowhere else."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """See `importlib.abc.MetaPathFinder`."""
        known = fullname.startswith(PACKAGE) and fullname.removeprefix(PACKAGE) in MOVED
        return ModuleSpec(fullname, self) if known else None

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        places = [PACKAGE + place for place in MOVED[module.__name__.removeprefix(PACKAGE)]]
        said = f"{module.__name__} is {' and '.join(places)} now"
        warnings.warn(said, DeprecationWarning, stacklevel=2)

        def find(name: str) -> Any:
            for place in places:
                if hasattr(found := importlib.import_module(place), name):
                    return getattr(found, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}; {said}")

        module.__getattr__ = find  # type: ignore[method-assign]


def keep_old_places() -> None:
    """Once in a process."""
    if not any(isinstance(finder, Moved) for finder in sys.meta_path):
        sys.meta_path.append(Moved())
