"""The failures of a ledger as a sequence that is read as one goes through it, so that a million take little memory."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload

from vlmprobe.ledger.reading import annotations_by_question, rewards_by_question, snapshot

AT_ONCE = 2000  # rows in memory
_COLUMNS = "run, phase, step, sequence, slot, image, image_key, question, answer, answerer, reason, judge"
_OF_SOME = "WHERE question_id IN (SELECT value FROM json_each(?))"
T = TypeVar("T", covariant=True)


@dataclass(frozen=True, kw_only=True)
class FailureRow:
    """A valid question answered wrongly, with what is known about it."""

    run: str
    phase: str
    step: int
    sequence: int
    slot: int
    image: int
    """Number of the image in its source."""
    image_key: str
    question: str
    answer: str | None
    answerer: str | None
    reason: str
    """The verifier's words."""
    judge: str
    rewards: dict[str, float | None]
    annotations: dict[str, Any]


class Read(Protocol):
    """Calls a function with the open file and the values; see `Ledger`."""

    def __call__(self, query: Query[T], /, *values: Any) -> T: ...


class Query(Protocol[T]):
    """Reads something from an open file."""

    def __call__(self, db: sqlite3.Connection, /, *values: Any) -> T: ...


class Failures(Sequence[FailureRow]):
    """The valid questions answered wrongly, in the order they were recorded.

    A sequence that holds no rows: it reads them from the ledger each time that one goes through it, some thousand at
    once. `list(failures)` keeps them, also beyond the ledger's end. Equal to another sequence with the same rows.
    """

    def __init__(self, read: Read, phase: str | None, run: str | None, limit: int | None):
        self._read, self._limit = read, limit
        self._where = (phase, phase, run, run)

    def __iter__(self) -> Iterator[FailureRow]:
        last, left = 0, self._limit
        while left is None or left > 0:
            ids, rows = self._read(_some, self._where, last, AT_ONCE if left is None else min(left, AT_ONCE))
            yield from rows
            if len(ids) < AT_ONCE:
                return
            last, left = ids[-1], None if left is None else left - len(ids)

    def __len__(self) -> int:
        return self._read(_count, self._where, -1 if self._limit is None else self._limit)

    @overload
    def __getitem__(self, index: int, /) -> FailureRow: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[FailureRow]: ...
    def __getitem__(self, index: int | slice, /) -> FailureRow | list[FailureRow]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return list(itertools.islice(self, start, stop, step)) if step > 0 else list(self)[index]
        place = range(len(self))[index]
        return next(itertools.islice(self, place, None))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (list, tuple, Failures)):
            return NotImplemented
        return all(mine == theirs for mine, theirs in itertools.zip_longest(self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Failures({len(self)} questions)"


def _some(
    db: sqlite3.Connection, where: tuple[str | None, ...], after: int, limit: int
) -> tuple[list[int], list[FailureRow]]:
    # The plus signs keep SQLite from looking phases up: it would sort all that is left for each part.
    query = f"""
      SELECT question_id, {_COLUMNS} FROM question_rows
      WHERE question_id > ? AND found = 1 AND (? IS NULL OR +phase = ?) AND (? IS NULL OR +run = ?)
      ORDER BY question_id LIMIT ?
    """
    with snapshot(db):
        found = db.execute(query, (after, *where, limit)).fetchall()
        ids = [row[0] for row in found]
        some = (json.dumps(ids),)
        rewards = rewards_by_question(db, f"SELECT question_id, term, value FROM rewards {_OF_SOME}", some)
        known = annotations_by_question(db, f"SELECT question_id, key, value FROM annotations {_OF_SOME}", some)
    names = _COLUMNS.split(", ")
    return ids, [
        FailureRow(**dict(zip(names, row, strict=True)), rewards=rewards.get(i, {}), annotations=known.get(i, {}))
        for i, *row in found
    ]


def _count(db: sqlite3.Connection, where: tuple[str | None, ...], limit: int) -> int:
    query = """
      SELECT count(*) FROM (SELECT 1 FROM question_rows
      WHERE found = 1 AND (? IS NULL OR phase = ?) AND (? IS NULL OR run = ?) LIMIT ?)
    """
    return int(db.execute(query, (*where, limit)).fetchone()[0])
