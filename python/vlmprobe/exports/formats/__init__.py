"""The same suite as other programs read it: a module each, with `write(suite, folder) -> items written`.

Those that score by a right answer have the items for which one is known; the others have all.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from vlmprobe.exports.suite import Suite

FORMATS = ("huggingface", "vlmevalkit", "lmms_eval", "inspect", "promptfoo", "fiftyone")


def write(name: str, suite: Suite) -> tuple[Path, int]:
    """Writes a suite in a format, into `formats/NAME` in its folder; the folder, and how many items it has.

    Raises:
        ValueError: no such format.
        ModuleNotFoundError: what the format needs is not installed; names the extra.
    """
    if name not in FORMATS:
        raise ValueError(f"[export] --format: expected some of {', '.join(FORMATS)}, got {name!r:.60}")
    folder = suite.folder / "formats" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder, int(importlib.import_module(f"{__name__}.{name}").write(suite, folder))
