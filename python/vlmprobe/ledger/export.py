"""A ledger's questions as one flat table, for other programs: JSON lines or Parquet."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from vlmprobe._files import drafted
from vlmprobe._optional import require

ROWS_AT_ONCE = 10_000
_TEXTS = ("run", "phase", "image_key", "status", "question", "prefix", "reason", "verdict_failure", "judge")
_MORE_TEXTS = ("answer", "answer_failure", "answerer", "rewards", "annotations")
_NUMBERS = ("step", "sequence", "slot", "image")
_TRUTHS = ("valid", "correct", "found", "asked")
_COLUMNS = (*_TEXTS, *_MORE_TEXTS, *_NUMBERS, *_TRUTHS)
_ROWS = """
  SELECT *,
    (SELECT json_group_object(term, value) FROM (SELECT * FROM rewards WHERE question_id = q.question_id ORDER BY term))
      AS rewards,
    (SELECT json_group_object(key, json(value))
       FROM (SELECT * FROM annotations WHERE question_id = q.question_id ORDER BY key)) AS annotations
  FROM question_rows AS q ORDER BY question_id
"""


def export(db: sqlite3.Connection, path: str | Path) -> int:
    """Writes a row per question, with its image, verdict, answer, rewards and annotations.

    Truth values are true, false or null (unknown); nothing is cut. In Parquet `rewards` and `annotations` are JSON.

    Args:
        db: the ledger's file.
        path: ends in `.jsonl` or `.parquet`; replaced whole.
    Returns:
        The number of rows.
    Raises:
        ValueError: another ending.
        ModuleNotFoundError: Parquet without pyarrow; names the extra.
        OSError: it cannot be written.
    """
    path = Path(path)
    writers = {".jsonl": _write_jsonl, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise ValueError(f"[Ledger.export] path: expected a name that ends in .jsonl or .parquet, got {path.name!r}")
    with drafted(path) as draft:
        return writers[path.suffix](draft, _rows(db))


def _rows(db: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    cursor = db.execute(_ROWS)
    names = [column[0] for column in cursor.description]
    for values in cursor:
        known = dict(zip(names, values, strict=True))
        yield {k: bool(v) if k in _TRUTHS and (v := known[k]) is not None else known[k] for k in _COLUMNS}


def _write_jsonl(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            unpacked = {name: json.loads(row[name]) for name in ("rewards", "annotations")}
            file.write(json.dumps(row | unpacked) + "\n")
            count += 1
    return count


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    arrow, parquet = require("pyarrow", extra="parquet"), require("pyarrow.parquet", extra="parquet")
    kinds = {name: arrow.int64() if name in _NUMBERS else arrow.bool_() for name in (*_NUMBERS, *_TRUTHS)}
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in _COLUMNS])
    count = 0
    with path.open("wb") as file, parquet.ParquetWriter(file, schema) as writer:  # its own opening wants UTF-8
        while some := list(islice(rows, ROWS_AT_ONCE)):
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))
            count += len(some)
    return count
