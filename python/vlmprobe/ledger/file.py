"""Opening the ledger's file, and its schema."""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

SCHEMA = 1
_APPLICATION_ID = 0x766C6D70  # "vlmp", so that another program's database is not taken for a ledger


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Opens the file; transactions are begun by hand."""
    in_memory = str(path) == ":memory:"
    if read_only and not path.is_file():
        raise ValueError(f"[Ledger] path: no file {str(path)!r}")
    if not in_memory and not path.parent.is_dir():
        raise ValueError(f"[Ledger] path: no folder {str(path.parent)!r}")
    where = ":memory:" if in_memory else path.absolute().as_uri() + ("?mode=ro" if read_only else "")
    try:
        return sqlite3.connect(where, uri=not in_memory, isolation_level=None, timeout=30.0)
    except sqlite3.Error as error:
        raise ValueError(f"[Ledger] {path}: cannot be opened ({error})") from error


def check_schema(db: sqlite3.Connection, path: Path, *, create: bool) -> None:
    """Makes the tables in an empty file, and refuses a file that is not a ledger of this schema."""
    try:
        db.execute("PRAGMA foreign_keys = ON")
        if create and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
            _create(db)
        application = db.execute("PRAGMA application_id").fetchone()[0]
        schema = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise ValueError(f"[Ledger] {path}: not a readable ledger ({error})") from error
    if application != _APPLICATION_ID:
        raise ValueError(f"[Ledger] {path}: a database, but not a ledger")
    if schema != SCHEMA:
        raise ValueError(f"[Ledger] {path}: expected schema {SCHEMA}, got {schema}")


def _create(db: sqlite3.Connection) -> None:
    schema = resources.files("vlmprobe.ledger").joinpath("schema.sql").read_text(encoding="utf-8")
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {SCHEMA}; {schema} COMMIT;"
    )
