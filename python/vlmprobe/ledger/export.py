"""A ledger's questions as one flat table, for other programs: JSON lines or Parquet."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from vlmprobe._util.json import plain
from vlmprobe._util.optional import require
from vlmprobe.ledger.failures import Read
from vlmprobe.ledger.reading import (
    Kinds,
    checked_columns,
    json_values,
    rewards_by_question,
    snapshot,
    truths,
)

ROWS_AT_ONCE = 10_000
_ENCODER = json.JSONEncoder(allow_nan=False)
Row = dict[str, Any]
_TEXTS = ("run", "phase", "image_key", "status", "question", "prefix", "reason", "verdict_failure", "judge")
_MORE_TEXTS = ("answer", "answer_failure", "answerer", "rewards", "annotations")
_NUMBERS = ("step", "sequence", "slot", "image")
_TRUTHS = ("valid", "correct", "found", "asked")
_COLUMNS = (*_TEXTS, *_MORE_TEXTS, *_NUMBERS, *_TRUTHS)
_READ = tuple(name for name in _COLUMNS if name not in ("rewards", "annotations"))
_SOME = f"""
  SELECT question_id, {", ".join(_READ)},
    (SELECT json_group_object(key, json(value)) FROM annotations WHERE annotations.question_id = q.question_id)
  FROM question_rows AS q WHERE question_id > ? ORDER BY question_id LIMIT {ROWS_AT_ONCE}
"""
_REWARDS = "SELECT question_id, term, value FROM rewards WHERE question_id BETWEEN ? AND ?"
_KINDS: Kinds = [int, *((int if name in (*_NUMBERS, *_TRUTHS) else str, type(None)) for name in _READ), str]


def export(read: Read, path: str | Path) -> int:
    """Writes a row per question, with its image, verdict, answer, rewards and annotations.

    Truth values are true, false or null (unknown), numbers that are not finite are null; nothing is cut. In Parquet
    `rewards` and `annotations` are JSON.

    Args:
        read: of the ledger.
        path: ends in `.jsonl` or `.parquet`; replaced whole.
    Returns:
        The number of rows.
    Raises:
        ValueError: another ending, or a damaged ledger.
        OSError: it cannot be written.
        ModuleNotFoundError: Parquet without pyarrow; names the extra.
    """
    path = Path(path)
    writers = {".jsonl": _write_jsonl, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise ValueError(f"[Ledger.export] path: expected a name that ends in .jsonl or .parquet, got {path.name!r}")
    draft = path.with_name(f".{path.name}.part")
    try:
        count = writers[path.suffix](draft, each_row(read))
        draft.replace(path)
    except OSError as error:
        if error.strerror is None:  # of the ledger, which says it itself
            raise
        raise OSError(f"[Ledger.export] {path}: cannot be written ({error.strerror}); name another place") from error
    finally:
        draft.unlink(missing_ok=True)
    return count


def each_row(read: Read) -> Iterator[Row]:
    """All questions as rows, some thousand in memory at a time."""
    last = 0
    while True:
        last, some = read(_some, last)
        yield from some
        if len(some) < ROWS_AT_ONCE:
            return


def _some(db: sqlite3.Connection, after: int) -> tuple[int, list[Row]]:
    """The rows after a question's number, and the last one's number."""
    with snapshot(db):
        ids, *columns, annotations = checked_columns(db, _SOME, (after,), _KINDS)
        last = ids[-1] if ids else after
        rewards = rewards_by_question(db, _REWARDS, (after + 1, last))
    named = zip(_READ, columns, strict=True)
    columns = [truths(name, column) if name in _TRUTHS else column for name, column in named]
    found = [dict(zip(_READ, values, strict=True)) for values in zip(*columns, strict=True)]
    for row, i, known in zip(found, ids, json_values(annotations), strict=True):
        row["rewards"], row["annotations"] = rewards.get(i, {}), known
    return last, found


def _json(value: Any) -> str:
    try:
        return _ENCODER.encode(value)
    except ValueError:
        return json.dumps(plain(value))


def _write_jsonl(path: Path, rows: Iterator[Row]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(_json({name: row[name] for name in _COLUMNS}) + "\n")
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterator[Row]) -> int:
    arrow, parquet = require("pyarrow", extra="parquet"), require("pyarrow.parquet", extra="parquet")
    kinds = {name: arrow.int64() if name in _NUMBERS else arrow.bool_() for name in (*_NUMBERS, *_TRUTHS)}
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in _COLUMNS])
    count = 0
    with path.open("wb") as file, parquet.ParquetWriter(file, schema) as writer:  # its own opening wants UTF-8
        while some := [_flat(row) for row in islice(rows, ROWS_AT_ONCE)]:
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))
            count += len(some)
    return count


def _flat(row: Row) -> Row:
    return row | {name: _json(row[name]) for name in ("rewards", "annotations")}
