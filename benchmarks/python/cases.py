"""All cases, by folder."""

from __future__ import annotations

import importlib
from pathlib import Path

FOLDERS = ("grpo", "questioner", "reward", "memory", "metrics", "chat", "judging")


def complete(folder: str) -> bool:
    """Whether the folder has a case and the functions of ours that it measures."""
    return all((Path(__file__).parent / folder / name).is_file() for name in ("cases.py", "ours.py"))


CASES = tuple(
    case for folder in FOLDERS if complete(folder) for case in importlib.import_module(f"{folder}.cases").CASES
)
