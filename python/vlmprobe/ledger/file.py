"""Opening the ledger's file, and its schema: each file of `migrations` brings it one version further."""

from __future__ import annotations

import functools
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

SCHEMA = 6
_MIGRATIONS = [
    resources.files("vlmprobe.ledger").joinpath("migrations", f"{version}.sql").read_text(encoding="utf-8")
    for version in range(1, SCHEMA + 1)
]
_APPLICATION_ID = 0x766C6D70  # "vlmp", so that another program's database is not taken for a ledger


def open_file(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """The file at the present schema; transactions are begun by hand.

    A new or empty file gets the tables, an older one is migrated in one transaction; opened read_only, an older one is
    migrated in a copy that goes away when it is closed. Opened read_only it is read wherever it is, and nothing is left
    beside it; see `_readable`.

    Raises:
        ValueError: no such file or folder, not a ledger, a damaged one, or one of a newer schema.
        OSError: it cannot be read, or not written.
    """
    db = _connect(path, read_only=read_only)
    try:
        db.execute("PRAGMA foreign_keys = ON")
        schema = _schema(db, path, may_be_empty=not read_only)
        if schema < SCHEMA and read_only:
            db = _copied(db)
        if schema < SCHEMA:
            _migrate(db, path)
        check_columns(db, f"[Ledger] {path}", _columns())
    except sqlite3.OperationalError as error:
        db.close()
        needs = "" if read_only else "; it needs room and permission to write"
        raise OSError(f"[Ledger] {path}: cannot be opened ({error}){needs}") from error
    except sqlite3.DatabaseError as error:
        db.close()
        raise ValueError(f"[Ledger] {path}: not a readable ledger ({error})") from error
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


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Around what reads a file: whatever is wrong with it is one error.

    Args:
        what: the beginning of the message, such as `[Ledger] path`.

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read now.
        RuntimeError: it was closed.
    """
    try:
        yield
    except sqlite3.ProgrammingError as error:
        if "closed" in str(error):
            raise RuntimeError(f"{what}: is closed; keep what is needed, as by list(...), before") from None
        raise
    except sqlite3.OperationalError as error:
        if any(words in str(error) for words in _OF_DAMAGE):
            raise _damaged(what, error) from error
        raise OSError(f"{what}: cannot be read ({error})") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise _damaged(what, error) from error
    except Damaged as error:
        raise _damaged(what, error) from None


_OF_DAMAGE = ("decode to UTF-8", "no such", "malformed JSON")  # SQLite calls these operational


class Damaged(Exception):
    """A row that says what nobody wrote."""


def _damaged(what: str, error: Exception) -> ValueError:
    return ValueError(f"{what}: is damaged ({error!s:.200}); put a copy of it back")


def check_columns(db: sqlite3.Connection, what: str, expected: dict[str, tuple[str, ...]]) -> None:
    """Every table has its columns.

    Raises:
        ValueError: one has not; names both.
    """
    for table, columns in expected.items():
        found = _columns_of(db, table)
        missing = [column for column in columns if column not in found]
        if missing:
            got = "no such table" if not found else f"none in {', '.join(found)}"
            raise ValueError(f"{what}: table {table}: expected a column {missing[0]}, got {got:.200}")


def _columns_of(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,)))


@functools.cache
def _columns() -> dict[str, tuple[str, ...]]:
    """Table or view -> columns of the present schema."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for version in range(1, SCHEMA + 1):
        for statement in _statements(version):
            db.execute(statement)
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
    found = {table: _columns_of(db, table) for table in tables}
    db.close()
    return found


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    in_memory = str(path) == ":memory:"
    if read_only and not path.is_file():
        raise ValueError(f"[Ledger] path: no file {str(path)!r}")
    if not in_memory and not path.parent.is_dir():
        raise ValueError(f"[Ledger] path: no folder {str(path.parent)!r}")
    try:
        if read_only:
            return _readable(path.resolve())
        where = ":memory:" if in_memory else path.absolute().as_uri()
        return _sqlite(where, uri=not in_memory)
    except sqlite3.Error as error:
        raise ValueError(f"[Ledger] {path}: cannot be opened ({error})") from error


def _readable(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing and leaves nothing behind.

    With a log that holds something (a run that writes, or was killed) the file is read with it; where the log's index
    cannot be made for want of permission, from a copy of both. Without one, SQLite may make its files and takes them
    away again when it is closed; where it may not, nobody who may is taken to write in the meantime.
    """
    log = Path(f"{path}-wal")
    if _holds_something(log):
        return _opened(f"{path.as_uri()}?mode=ro") or _copy_of(path, log)
    if _may_write(path) and _may_write(path.parent):
        db = _opened(f"{path.as_uri()}?mode=rw")  # mode=ro would leave its files behind
        if db is not None:
            db.execute("PRAGMA query_only = ON")
            return db
    return _sqlite(f"{path.as_uri()}?mode=ro&immutable=1")


def _opened(where: str) -> sqlite3.Connection | None:
    """None where SQLite may not make the files that it needs."""
    db = _sqlite(where)
    try:
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError:
        db.close()
        return None
    except sqlite3.DatabaseError:
        pass  # is said where the schema is read
    return db


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _holds_something(log: Path) -> bool:
    try:
        return log.stat().st_size > 0
    except FileNotFoundError:
        return False


class _CopiedConnection(sqlite3.Connection):
    """Of a copy that goes away with it."""

    folder: tempfile.TemporaryDirectory[str]

    def close(self) -> None:
        super().close()
        self.folder.cleanup()


def _copy_of(path: Path, log: Path) -> sqlite3.Connection:
    def fill(place: Path) -> None:
        shutil.copyfile(path, place)
        shutil.copyfile(log, f"{place}-wal")

    return _temporary(fill)


def _temporary(fill: Callable[[Path], None]) -> _CopiedConnection:
    """A file of its own, filled before it is opened."""
    folder = tempfile.TemporaryDirectory(prefix="vlmprobe-ledger-")
    try:
        place = Path(folder.name) / "ledger.sqlite"
        fill(place)
        db = _sqlite(place.as_uri(), factory=_CopiedConnection)
    except BaseException:
        folder.cleanup()
        raise
    assert isinstance(db, _CopiedConnection)
    db.folder = folder
    return db


def _sqlite(
    where: str, *, uri: bool = True, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    return sqlite3.connect(where, uri=uri, isolation_level=None, timeout=30.0, check_same_thread=False, factory=factory)


def _schema(db: sqlite3.Connection, path: Path, *, may_be_empty: bool = True) -> int:
    """The file's version; 0 for an empty one."""
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    application = db.execute("PRAGMA application_id").fetchone()[0]
    schema = int(db.execute("PRAGMA user_version").fetchone()[0])
    if application != _APPLICATION_ID and not (empty and application == 0 and may_be_empty):
        raise ValueError(f"[Ledger] {path}: a database, but not a ledger")
    if schema > SCHEMA:
        raise ValueError(
            f"[Ledger] {path}: expected schema {SCHEMA}, got {schema}; a newer vlmprobe wrote it: open it with that one"
        )
    if schema < 0 or (schema == 0 and not empty):
        raise ValueError(f"[Ledger] {path}: expected a schema of 1 to {SCHEMA}, got {schema}")
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
    part = ""
    for line in _MIGRATIONS[version - 1].splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def _copied(db: sqlite3.Connection) -> sqlite3.Connection:
    """In a file, because a ledger may be larger than memory."""
    copy = _temporary(lambda place: None)
    copy.execute("PRAGMA foreign_keys = ON")
    copy.execute("PRAGMA synchronous = OFF")
    db.backup(copy)
    db.close()
    return copy
