"""Files that are whole or not there: written under another name, brought to the disk, then renamed. And texts of users,
read with or without a byte order mark, as editors of all systems write them."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def open_text(path: Path, *, newline: str | None = None) -> TextIO:
    """A user's text, for reading: UTF-8, or what its byte order mark says."""
    with path.open("rb") as file:
        head = file.read(4)
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
    return path.open(encoding=encoding, newline=newline)


def read_text(path: Path) -> str:
    """The whole of it.

    Raises:
        UnicodeDecodeError: other bytes.
    """
    with open_text(path) as file:
        return file.read()


def json_lines(op: str, path: Path) -> Iterator[tuple[str, Any]]:
    """What each line holds, and where it stands, for errors; lines without anything are passed over.

    Raises:
        ValueError: no text, or a line that is no JSON; names the line.
    """
    number = 0
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, 1):
                line = line.strip().lstrip("\ufeff")  # files put end to end keep their marks
                if line:
                    yield f"{path.name}, line {number}", _json(op, f"{path.name}, line {number}", line)
    except UnicodeDecodeError as error:
        raise ValueError(f"[{op}] {path.name}: expected UTF-8 after line {number}, got other bytes ({error})") from None


def _json(op: str, where: str, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"[{op}] {where}: expected JSON ({error})") from None


def write_text(path: Path, text: str) -> None:
    """Replaces a file by a new one that is whole at every moment."""
    with drafted(path) as draft:
        draft.write_text(text, encoding="utf-8")
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
