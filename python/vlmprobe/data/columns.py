"""Tables in columns, with the files' bytes in them: Parquet, and the Arrow files of a saved Hugging Face dataset.

Neither is ever held in memory whole. Arrow files are mapped. Of a Parquet file two row groups are held, of a large
group a few batches of rows and one page: pages of 1,024 rows are common, and Parquet cannot read less than one.
"""

from __future__ import annotations

import bisect
import collections
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from vlmprobe._util.optional import require
from vlmprobe.data.reading import encodable, stamp
from vlmprobe.data.rows import References, pick

SMALL_GROUP = 64 << 20  # bytes of a row group that is read whole
BATCH = 16  # rows that are read at once of a larger one
BATCHES = 8  # that are kept
GROUPS = 2  # that are kept
BUFFER = 1 << 20  # bytes; without one, all of a column in a row group is read before its first row


class ColumnCells:
    """Rows of tables in columns, each a picture.

    The key is the path that the row has, where no other row has it too, else `row 17`, counted from 0 over all files.

    Args:
        rows: of which table; ParquetRows or ArrowRows.
        column: with the pictures; empty: found by its type and its name.
        references: of the files that a row names but does not hold.

    Raises:
        ValueError: no such column, or none that can hold pictures; no row.
    """

    def __init__(self, rows: ParquetRows | ArrowRows, column: str, references: References) -> None:
        self._rows, self._references = rows, references
        schema, file = rows.schema, rows.files[0]
        kinds = {field.name: _kind(field.type) for field in schema}
        likely = [name for name, kind in kinds.items() if kind == "struct"] or [n for n, k in kinds.items() if k]
        self._column = pick(column, likely, list(kinds), file)
        self._kind = kinds[self._column]
        if not self._kind:
            got = schema.field(self._column).type
            raise ValueError(f"[TableImages] {self._column}: expected bytes, {{bytes, path}} or names, got {got}")
        others = [field.name for field in schema if field.name != self._column and not _has_bytes(field.type)]
        rows.columns = [self._column, *others]
        paths = self._paths()
        if not paths:
            raise ValueError(f"[TableImages] {file.name}: expected rows with a picture, got none")
        known = Counter(paths)
        self.keys = [
            encodable(path) if path and known[path] == 1 else f"row {at}" for at, path in enumerate(paths)
        ]  # fmt: skip

    def file(self, index: int) -> Path | bytes:
        """See `vlmprobe.data.rows.Cells`."""
        cell = self._rows.row(index)[self._column]
        if isinstance(cell, dict):
            cell = cell.get("bytes") or cell.get("path")
        if isinstance(cell, str):
            return self._references.file(cell)
        if cell is None:
            raise ValueError("expected the bytes of a picture, got none")
        return bytes(cell)

    def meta(self, index: int) -> tuple[dict[str, Any], ...]:
        """See `vlmprobe.data.rows.Cells`."""
        return ({name: value for name, value in self._rows.row(index).items() if name != self._column},)

    def stamp(self, index: int) -> str:
        """See `vlmprobe.data.rows.Cells`."""
        return f"{stamp(self._rows.files[self._rows.place(index)[0]])} row {index}"

    def _paths(self) -> list[str | None]:
        if self._kind == "bytes":
            return [None] * self._rows.total
        inner = "path" if self._kind == "struct" else None
        return list(self._rows.texts(self._column, inner))


class ParquetRows:
    """Rows of Parquet files. One thread reads at a time.

    Raises:
        ValueError: no Parquet, or files with other columns than the first.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._parquet = require("pyarrow.parquet", extra="parquet")
        self.files, self.columns = list(files), list[str]()
        self._opened = [
            _opened(lambda file=file: self._parquet.ParquetFile(file, buffer_size=BUFFER, pre_buffer=False), file)
            for file in self.files
        ]
        self.schema = self._opened[0].schema_arrow
        for file, opened in zip(self.files, self._opened, strict=True):
            _check_same(self.schema, opened.schema_arrow, file)
        groups = [(at, group) for at, each in enumerate(self._opened) for group in range(each.num_row_groups)]
        self._groups = [(at, group, self._opened[at].metadata.row_group(group).num_rows) for at, group in groups]
        self._ends = list(accumulate(rows for _, _, rows in self._groups))
        self.total = self._ends[-1] if self._ends else 0
        self._kept: collections.OrderedDict[int, _Group] = collections.OrderedDict()
        self._lock = threading.Lock()

    def place(self, index: int) -> tuple[int, int]:
        """Number of the file, and of the row group among all."""
        group = bisect.bisect_right(self._ends, index)
        return self._groups[group][0], group

    def row(self, index: int) -> dict[str, Any]:
        """The wanted columns of a row."""
        at, number = self.place(index)
        with self._lock:
            group = self._kept.pop(number, None)
            if group is None:
                group = _Group(self._opened[at], self._groups[number][1], self.columns)
            self._kept[number] = group
            while len(self._kept) > GROUPS:
                self._kept.popitem(last=False)
            batch, offset = group.at(index - (self._ends[number] - self._groups[number][2]))
            return {name: batch.column(name)[offset].as_py() for name in self.columns}

    def texts(self, column: str, inner: str | None) -> Iterator[str | None]:
        """A column of texts, or one within it."""
        for file, opened in zip(self.files, self._opened, strict=True):
            path = column if inner is None else f"{column}.{inner}"
            try:
                for batch in opened.iter_batches(columns=[path], batch_size=4096, use_threads=False):
                    found = batch.column(0) if inner is None else batch.column(0).field(inner)
                    yield from found.to_pylist()
            except Exception as error:  # Arrow raises of its own kinds
                raise ValueError(f"[TableImages] {file.name}: {path}: cannot be read ({error!s:.120})") from None


class _Group:
    """A row group: whole where it is small, else a few batches of it, gone through from the first."""

    def __init__(self, opened: Any, group: int, columns: list[str]) -> None:
        self._opened, self._group, self._columns = opened, group, columns
        about = opened.metadata.row_group(group)
        self._size = max(1, about.num_rows) if about.total_byte_size <= SMALL_GROUP else BATCH
        self._begin()

    def _begin(self) -> None:
        self._batches = self._opened.iter_batches(
            batch_size=self._size, row_groups=[self._group], columns=self._columns, use_threads=False
        )
        self._next = 0
        self._kept: collections.deque[tuple[int, Any]] = collections.deque(maxlen=BATCHES)

    def at(self, offset: int) -> tuple[Any, int]:
        """The batch with a row, and the row's place in it."""
        if self._kept and offset < self._kept[0][0]:
            self._begin()
        try:
            while offset >= self._next:
                batch = next(self._batches)
                self._kept.append((self._next, batch))
                self._next += batch.num_rows
        except StopIteration:
            self._begin()
            raise ValueError("the file ends before it") from None
        except Exception:
            self._begin()
            raise
        start, batch = next((start, batch) for start, batch in reversed(self._kept) if start <= offset)
        return batch, offset - start


class ArrowRows:
    """Rows of Arrow files, mapped into memory. Threads read side by side.

    Raises:
        ValueError: no Arrow, or files with other columns than the first.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._arrow = require("pyarrow", extra="parquet")
        self.files, self.columns = list(files), list[str]()
        tables = [_opened(lambda file=file: self._mapped(file), file) for file in self.files]
        self.schema = tables[0].schema
        for file, table in zip(self.files, tables, strict=True):
            _check_same(self.schema, table.schema, file)
        self._tables = tables
        self._ends = list(accumulate(table.num_rows for table in tables))
        self.total = self._ends[-1]

    def place(self, index: int) -> tuple[int, int]:
        """Number of the file, and of the row in it."""
        at = bisect.bisect_right(self._ends, index)
        return at, index - (self._ends[at] - self._tables[at].num_rows)

    def row(self, index: int) -> dict[str, Any]:
        """The wanted columns of a row."""
        at, offset = self.place(index)
        return {name: self._tables[at].column(name)[offset].as_py() for name in self.columns}

    def texts(self, column: str, inner: str | None) -> Iterator[str | None]:
        """A column of texts, or one within it."""
        for table in self._tables:
            for chunk in table.column(column).chunks:
                yield from (chunk if inner is None else chunk.field(inner)).to_pylist()

    def _mapped(self, file: Path) -> Any:
        source = self._arrow.memory_map(str(file))
        try:
            return self._arrow.ipc.open_stream(source).read_all()
        except self._arrow.ArrowInvalid:
            source.seek(0)
            return self._arrow.ipc.open_file(source).read_all()


def _opened(open_: Any, file: Path) -> Any:
    try:
        return open_()
    except Exception as error:  # Arrow raises of its own kinds
        raise ValueError(f"[TableImages] {file}: cannot be opened ({error!s:.120})") from None


def _check_same(expected: Any, got: Any, file: Path) -> None:
    if expected.names != got.names:
        raise ValueError(f"[TableImages] {file}: expected the columns {expected.names}, got {got.names}")


def _kind(type_: Any) -> str:
    """How a column holds pictures: struct, bytes, text; empty where it cannot."""
    types = require("pyarrow", extra="parquet").types
    if types.is_struct(type_):
        inner = {field.name: field.type for field in type_}
        return "struct" if _is_bytes(inner.get("bytes")) and "path" in inner else ""
    if _is_bytes(type_):
        return "bytes"
    return "text" if types.is_string(type_) or types.is_large_string(type_) else ""


def _is_bytes(type_: Any) -> bool:
    types = require("pyarrow", extra="parquet").types
    return type_ is not None and (
        types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_)
    )


def _has_bytes(type_: Any) -> bool:
    return _is_bytes(type_) or any(_has_bytes(type_.field(at).type) for at in range(type_.num_fields))
