"""Files that are whole or not there: written under another name, brought to the disk, then renamed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replaces a file by a new one that is whole at every moment; a lone surrogate is written as its escape."""
    with drafted(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        sync(draft)
    sync(path.parent)


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Another name, under which the block writes what then takes the place of the file.

    Raises:
        OSError: it cannot be written; names the file.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


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
