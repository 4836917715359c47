"""Replies that runs share: a file of its own, in which a reply is found by the content of its request."""

from __future__ import annotations

import sqlite3
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

from vlmprobe._native import core
from vlmprobe._util.json import encodable
from vlmprobe.ledger.file import check_columns, reading, transaction
from vlmprobe.ledger.reading import Kinds, checked_columns
from vlmprobe.ledger.requests import extra_of, reply_once, request_key
from vlmprobe.models.model import Arrived, Charge, Model, ModelReply, Observed, Request, Status, Usage
from vlmprobe.models.service import endpoints_of

SCHEMA = 1
_COLUMNS = ("key", "model", "text", "reasoning", "finish_reason", "prompt_tokens", "completion_tokens", "endpoint")
_KINDS: Kinds = [str, str, str, int, int, str]  # of the columns that are read
_APPLICATION_ID = 0x766C6D63  # "vlmc"
_TABLE = """
CREATE TABLE IF NOT EXISTS replies (
  key               TEXT PRIMARY KEY,     -- requests.request_key
  model             TEXT NOT NULL,
  text              TEXT NOT NULL,
  reasoning         TEXT NOT NULL,
  finish_reason     TEXT NOT NULL,
  prompt_tokens     INTEGER NOT NULL,
  completion_tokens INTEGER NOT NULL,
  endpoint          TEXT NOT NULL
) WITHOUT ROWID
"""


class CachedModel:
    """A model that is asked only what the cache does not know.

    Only whole replies are kept: status `ok`, and a finish reason that says so (`vlmprobe/models/finish.h`) or none at
    all, from models that have no word for it. What was truncated, refused, empty or failed is asked again in another
    run, and so is half a reply that an earlier version kept. A reply from the cache has `attempts` 0. Equal requests of
    a batch are asked once. Several processes may share the file.

    Args:
        model: any model.
        path: the cache; made if it is not there.
        usable: whether a reply may be kept, such as one from which a verdict can be read; by default all may.

    Raises:
        ValueError: the file is something else, or of a newer version.
        OSError: it cannot be opened.

    Example:
        >>> model = CachedModel(client, "replies.sqlite")  # doctest: +SKIP
    """

    def __init__(
        self, model: Model, path: str | Path, *, usable: Callable[[Request, ModelReply], bool] = lambda *_: True
    ):
        self._model, self._usable, self.path = model, usable, Path(path)
        self._name = f"[CachedModel] {self.path}"
        self._lock = threading.Lock()
        self._db = _open(self.path)

    @property
    def identity(self) -> str:
        return self._model.identity

    @property
    def extra(self) -> str:
        """What the model adds to each request's body."""
        return extra_of(self._model)

    @property
    def endpoints(self) -> Sequence[str]:
        """The model's, where it has some."""
        return endpoints_of(self._model)

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        """See `vlmprobe.models.model.Model`."""
        return self.stream(requests, lambda _: None)

    def stream(self, requests: Sequence[Request], arrived: Arrived) -> list[ModelReply]:
        """See `vlmprobe.models.model.StreamingModel`."""
        asked = {request_key(self.identity, request, self.extra): request for request in requests}

        def keep(new: dict[str, ModelReply]) -> None:
            self._keep({k: r for k, r in new.items() if _whole(r) and self._usable(asked[k], r)})

        return reply_once(self._model, requests, find=self._find, keep=keep, arrived=arrived)

    def take_events(self) -> Sequence[Any]:
        """What happened to the model's endpoints since the last call, where it says so."""
        return self._model.take_events() if isinstance(self._model, Observed) else []

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def __enter__(self) -> CachedModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        with self._lock, reading(self._name):
            return int(self._db.execute("SELECT count(*) FROM replies").fetchone()[0])

    def _find(self, keys: Sequence[str]) -> dict[str, ModelReply]:
        query = """
          SELECT text, reasoning, finish_reason, prompt_tokens, completion_tokens, endpoint FROM replies WHERE key = ?
        """
        with self._lock, reading(self._name):
            found = {key: checked_columns(self._db, query, (key,), _KINDS) for key in keys}
        known = {key: _reply(*(value for (value,) in columns)) for key, columns in found.items() if columns[0]}
        return {key: reply for key, reply in known.items() if _whole(reply)}

    def _keep(self, replies: dict[str, ModelReply]) -> None:
        rows = [
            (key, self.identity, r.text, r.reasoning, r.finish_reason, *astuple(r.usage), r.endpoint)
            for key, r in replies.items()
            if all(encodable(text) == text for text in (r.text, r.reasoning, r.finish_reason, r.endpoint))
        ]
        lost, why = len(replies) - len(rows), "UTF-8 cannot hold their text"
        try:
            with self._lock, transaction(self._db):
                self._db.executemany("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.DatabaseError as error:  # the replies themselves are not lost
            lost, why = len(replies), str(error)
        if lost:
            warnings.warn(f"{self._name}: {lost} replies were not kept ({why})", stacklevel=4)


def _open(path: Path) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise ValueError(f"[CachedModel] path: no folder {str(path.parent)!r}")
    db = sqlite3.connect(path, isolation_level=None, timeout=30.0, check_same_thread=False)
    try:
        with transaction(db):
            _check(db, path)
            db.execute(_TABLE)
            check_columns(db, f"[CachedModel] {path}", {"replies": _COLUMNS})
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA}")
        db.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        db.close()
        raise OSError(f"[CachedModel] {path}: cannot be opened ({error}); give permission, or name another") from error
    except sqlite3.DatabaseError as error:
        db.close()
        raise ValueError(f"[CachedModel] {path}: not a reply cache ({error}); name another file") from error
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if application != _APPLICATION_ID and not (empty and application == 0):
        raise ValueError(f"[CachedModel] {path}: a database, but not a reply cache; name another file")
    if version > SCHEMA:
        raise ValueError(
            f"[CachedModel] {path}: expected schema {SCHEMA}, got {version}; a newer vlmprobe wrote it: "
            "use that one, or name another file"
        )


def _whole(reply: ModelReply) -> bool:
    said = reply.finish_reason
    return reply.status is Status.OK and (not said or core.models.is_whole(said))


def _reply(text: str, reasoning: str, finish: str, prompt: int, completion: int, endpoint: str) -> ModelReply:
    return ModelReply(
        status=Status.OK,
        text=text,
        reasoning=reasoning,
        finish_reason=finish,
        usage=Usage(prompt_tokens=prompt, completion_tokens=completion),
        attempts=0,
        endpoint=endpoint,
        charged=Charge(),
    )
