"""Tables of text, one row a picture or more: CSV, tab-separated values and JSON lines."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from vlmprobe.data.downloads import Downloads
from vlmprobe.data.reading import encodable, inside, stamp

NAMES = (
    "image", "image_path", "path", "file", "file_name", "filename", "filepath", "picture", "photo", "img", "url",
    "image_url", "img_url", "bytes",
)  # fmt: skip
"""What a column of pictures is called, the likeliest first."""
TEXT = (".csv", ".tsv", ".jsonl", ".ndjson")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Cells(Protocol):
    """The pictures of a table, wherever it is kept."""

    @property
    def keys(self) -> Sequence[str]:
        """Names of the pictures, each once, in order."""

    def file(self, index: int) -> Path | bytes:
        """Where a picture is, or what its file holds; raises what says why there is none."""

    def meta(self, index: int) -> tuple[dict[str, Any], ...]:
        """The other columns of the rows that name the picture."""

    def stamp(self, index: int) -> str:
        """Another one where the picture has been changed."""


class References:
    """What a cell of text may name: a file below a folder, or an http(s) URL.

    Args:
        folder: of the files.
        downloads: of the URLs.
    """

    def __init__(self, folder: Path, downloads: Downloads) -> None:
        self._folder, self._downloads = folder, downloads

    def file(self, text: str) -> Path:
        """Raises what says why it cannot be had."""
        if not text.strip():
            raise ValueError("expected a file or a URL, got an empty cell")
        if not _SCHEME.match(text):
            return inside(self._folder, text)
        if text.lower().startswith(("http://", "https://")):
            return self._downloads.file(text)
        raise ValueError(f"expected a file or an http(s) URL, got {text:.60}")

    def stamp(self, text: str) -> str:
        """Another one where the file has been changed."""
        return self._downloads.stamp(text) if _SCHEME.match(text) else stamp(self._folder / text)


class TextCells:
    """Rows of a table of text. A picture that several rows name is one picture.

    Args:
        file: CSV, TSV or JSON lines, by its ending.
        column: with the pictures; empty: found by its name.
        references: what the cells name.

    Raises:
        ValueError: no such file or column, no row.
    """

    def __init__(self, file: Path, column: str, references: References) -> None:
        self._references = references
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._texts: dict[str, str] = {}
        self._broken: dict[str, str] = {}
        rows = list(_lines(file) if file.suffix.lower() in (".jsonl", ".ndjson") else _csv(file))
        columns = list(dict.fromkeys(name for _, row in rows if isinstance(row, dict) for name in row))
        name = pick(column, columns, columns, file) if columns else ""
        for line, row in rows:
            self._add(line, row, name)
        if not self._rows:
            first = f" ({next(iter(self._broken.values()))})" if self._broken else ""
            raise ValueError(f"[TableImages] {file.name}: expected rows with a picture, got none{first}")
        self.keys = [*self._rows, *self._broken]

    def _add(self, line: int, row: dict[str, Any] | str, name: str) -> None:
        text = row.get(name) if isinstance(row, dict) else None
        if isinstance(row, dict) and isinstance(text, str) and text.strip():
            key = encodable(text.strip())
            self._texts[key] = text.strip()
            self._rows.setdefault(key, []).append({other: row[other] for other in row if other != name})
        else:
            said = row if isinstance(row, str) else f"{name}: expected a file or a URL, got {text!r:.60}"
            self._broken[f"line {line}"] = said

    def file(self, index: int) -> Path:
        """See `Cells`."""
        key = self.keys[index]
        if key in self._broken:
            raise ValueError(self._broken[key])
        return self._references.file(self._texts[key])

    def meta(self, index: int) -> tuple[dict[str, Any], ...]:
        """See `Cells`."""
        return tuple(self._rows.get(self.keys[index], ()))

    def stamp(self, index: int) -> str:
        """See `Cells`."""
        key = self.keys[index]
        return self._broken.get(key) or self._references.stamp(self._texts[key])


def pick(column: str, likely: Sequence[str], columns: Sequence[str], file: Path) -> str:
    """The column of pictures: the one that is asked for, else the likeliest by its name, else the only likely one.

    Args:
        column: is asked for, or empty.
        likely: columns whose type can hold pictures.
        columns: all.
        file: for the message.

    Raises:
        ValueError: no such column, or none that can be told.
    """
    if column:
        if column not in columns:
            raise ValueError(f"[TableImages] column: expected one of {', '.join(columns)}, got {column!r:.60}")
        return column
    named = {name.lower().strip(): name for name in reversed(likely)}
    for name in NAMES:
        if name in named:
            return named[name]
    if len(likely) == 1:
        return likely[0]
    raise ValueError(
        f"[TableImages] column: expected the name of {file.name}'s column of pictures, one of {', '.join(columns)}, "
        "got none"
    )


def _csv(file: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line and row; a row with more cells than the head is a text that says so."""
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened, delimiter=delimiter, restkey="")
            for row in reader:
                more = "" in row and isinstance(row[""], list)
                told = f"expected {len(reader.fieldnames or ())} cells, got more"
                yield reader.line_num, told if more else row
    except OSError as error:
        raise ValueError(f"[TableImages] path: cannot read {str(file)!r} ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"[TableImages] {file.name}: expected CSV in UTF-8, got something else ({error})") from None


def _lines(file: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line and row; a line that is no object is a text that says so."""
    try:
        with file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                if line.strip():
                    yield number, _object(line.removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise ValueError(f"[TableImages] path: cannot read {str(file)!r} ({error.strerror})") from None


def _object(line: bytes) -> dict[str, Any] | str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"expected JSON, got something else ({error})"
    return row if isinstance(row, dict) else f"expected an object, got {row!r:.60}"
