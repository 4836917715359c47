"""Opening the ledger's file, and its schema: each file of `migrations` brings it one version further."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

SCHEMA = 5
_APPLICATION_ID = 0x766C6D70  # "vlmp", so that another program's database is not taken for a ledger


def open_file(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """The file at the present schema; transactions are begun by hand.

    A new or empty file gets the tables, an older one is migrated in one transaction; opened read_only, an older one is
    migrated in memory.

    Raises:
        ValueError: no such file or folder, not a ledger, or one of a newer schema.
        OSError: it cannot be written.
    """
    db = _connect(path, read_only=read_only)
    try:
        db.execute("PRAGMA foreign_keys = ON")
        schema = _schema(db, path, may_be_empty=not read_only)
        if schema < SCHEMA and read_only:
            db = _copied(db)
        if schema < SCHEMA:
            _migrate(db, path)
    except sqlite3.OperationalError as error:
        db.close()
        raise OSError(f"[Ledger] {path}: cannot be opened ({error}); it needs room and permission to write") from error
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """What is executed inside is done whole, or not at all."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite has ended it itself after an error such as a full disk
            db.execute("ROLLBACK")
        raise


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    in_memory = str(path) == ":memory:"
    if read_only and not path.is_file():
        raise ValueError(f"[Ledger] path: no file {str(path)!r}")
    if not in_memory and not path.parent.is_dir():
        raise ValueError(f"[Ledger] path: no folder {str(path.parent)!r}")
    where = ":memory:" if in_memory else path.absolute().as_uri() + ("?mode=ro" if read_only else "")
    try:
        return sqlite3.connect(where, uri=not in_memory, isolation_level=None, timeout=30.0, check_same_thread=False)
    except sqlite3.Error as error:
        raise ValueError(f"[Ledger] {path}: cannot be opened ({error})") from error


def _schema(db: sqlite3.Connection, path: Path, *, may_be_empty: bool = True) -> int:
    """The file's version; 0 for an empty one."""
    try:
        empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        application = db.execute("PRAGMA application_id").fetchone()[0]
        schema = int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise ValueError(f"[Ledger] {path}: not a readable ledger ({error})") from error
    if application != _APPLICATION_ID and not (empty and application == 0 and may_be_empty):
        raise ValueError(f"[Ledger] {path}: a database, but not a ledger")
    if schema > SCHEMA:
        raise ValueError(
            f"[Ledger] {path}: expected schema {SCHEMA}, got {schema}; a newer vlmprobe wrote it: open it with that one"
        )
    return schema


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    with transaction(db):
        for version in range(_schema(db, path) + 1, SCHEMA + 1):  # read again: another process may have been first
            for statement in _statements(version):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {version}")
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def _statements(version: int) -> Iterator[str]:
    script = resources.files("vlmprobe.ledger").joinpath("migrations", f"{version}.sql").read_text(encoding="utf-8")
    part = ""
    for line in script.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def _copied(db: sqlite3.Connection) -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    memory.execute("PRAGMA foreign_keys = ON")
    db.backup(memory)
    db.close()
    return memory
