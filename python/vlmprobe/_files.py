"""Files that are whole or not there: written under another name, brought to the disk, then renamed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replaces a file by a new one that is whole at every moment; a lone surrogate is written as its escape."""
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(text, encoding="utf-8", errors="backslashreplace")
    sync(draft)
    draft.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Everything in a folder, the folder's own names last."""
    for path in sorted(folder.rglob("*"), reverse=True):
        sync(path)
    sync(folder)


def sha256(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
