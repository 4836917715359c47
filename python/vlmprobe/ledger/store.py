"""The one SQLite file of a run: written a step at a time, readable at any moment, also after a kill."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from vlmprobe._util.json import encodable
from vlmprobe.ledger import calls_table, file, judgings, labels, queries, reading, rows
from vlmprobe.ledger.about import About, about
from vlmprobe.ledger.export import Row, each_row, export
from vlmprobe.ledger.failures import Failures, Query
from vlmprobe.ledger.judged import JudgedQuestions, each_judged
from vlmprobe.ledger.places import Places
from vlmprobe.ledger.records import ImageRecord, LabelRecord, RunRecord, StepRecord
from vlmprobe.models.chat import Spent
from vlmprobe.models.model import ModelReply

T = TypeVar("T")
JUDGE = "role, identity, revision, prompt_sha256, sampling"


class Ledger:
    """Every question, answer, verdict and reward term of one or more runs.

    One transaction per step: after a kill the file holds whole steps only. The write-ahead log lets others read while a
    run writes; a kill loses nothing that `record` returned from (a power cut may lose the last steps). One writer at a
    time: a second waits up to 30 seconds.

    Args:
        path: the file; made if it is not there, unless read_only.
        read_only: open an existing ledger and write nothing.
    Raises:
        ValueError: no such file or folder, not a ledger, or one of a newer schema; an older one is migrated.
        OSError: the file cannot be written.

    Example:
        >>> with Ledger(":memory:") as ledger:
        ...     ledger.begin(RunRecord(id="demo", config={"seed": 1}))
        ...     ledger.record(StepRecord(run="demo", phase="train", step=0))
        ...     print(ledger.progress()[0])
        True
        demo: interrupted; train: 1 step, last 0, 0 questions
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = Path(path)
        self._name, self._read_only = f"[Ledger] {self.path}", read_only
        self._db = file.open_file(self.path, read_only=read_only)
        self._lock = threading.RLock()  # models record their calls from threads of their own
        self._places = Places()

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file; what was recorded stays."""
        with self._lock:  # a thread that is writing ends that first
            self._db.close()

    # Writing

    def begin(self, run: RunRecord, *, replace: bool = False) -> None:
        """Writes the run down. The same run again (a resumed one) is accepted and is no longer finished; a run with the
        same id and another configuration, other versions or models is a ValueError. With `replace` it is so only once
        a step of it, or of a run within it such as an evaluation, is recorded; until then it takes the new head."""
        row = (
            rows.text("run.id", run.id),
            *(rows.as_json(f"run.{name}", getattr(run, name)) for name in ("config", "versions", "identities")),
        )
        with self._transaction():
            query = "SELECT id, config, versions, identities FROM runs WHERE id = ?"
            known = self._db.execute(query, row[:1]).fetchone()
            if known is None:
                columns = "id, config, versions, identities, created_time"
                self._db.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, ?, ?)", (*row, _now()))
                return
            if replace and not queries.has_steps(self._db, run.id):
                columns = "config = ?, versions = ?, identities = ?, finished_time = NULL"
                self._db.execute(f"UPDATE runs SET {columns} WHERE id = ?", (*row[1:], run.id))
                return
            for name, old, new in zip(("id", "config", "versions", "identities"), known, row, strict=True):
                if old != new:
                    raise ValueError(f"[Ledger.begin] run {run.id!r} has another {name}: {rows.difference(old, new)}")
            self._db.execute("UPDATE runs SET finished_time = NULL WHERE id = ?", row[:1])

    def finish(self, run: str) -> None:
        """Marks the run as complete; a run without the mark is running or was interrupted."""
        with self._transaction():
            run_id = self._run_id(run)
            self._db.execute("UPDATE runs SET finished_time = ? WHERE run_id = ?", (_now(), run_id))

    def event(self, run: str, *, kind: str, text: str) -> None:
        """Writes down something that happened: a warning, an outage, a resumption."""
        values = rows.text("event.kind", kind), rows.text("event.text", text), _now()
        with self._transaction():
            columns = "run_id, kind, text, event_time"
            self._db.execute(f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?)", (self._run_id(run), *values))

    def record_events(self, kind: str, texts: Sequence[str]) -> None:
        """Writes down what happened, in order, for the run that `at` named."""
        if not texts:
            return
        run, _, _ = self._places.now()
        with self._transaction():
            columns = "run_id, kind, text, event_time"
            values = [(self._run_id(run), kind, rows.text("event.text", text), _now()) for text in texts]
            self._db.executemany(f"INSERT INTO events ({columns}) VALUES (?, ?, ?, ?)", values)

    def record(self, step: StepRecord) -> bool:
        """Writes one step in one transaction.

        Returns:
            True; False when (run, phase, step) was there already and says the same; nothing is written then.
        Raises:
            ValueError: a run that was not begun, an image that was not recorded or has changed, a value of a wrong
                type, a step that was recorded and said something else; nothing is written.
            OSError: the file cannot be written; nothing of the step is.
        """
        rows.check_step(step)
        with self._transaction():
            run_id = self._run_id(step.run)
            columns = "run_id, phase, step, recorded_time, numbers"
            place = (run_id, rows.text("phase", step.phase), rows.whole("step", step.step))
            values = (*place, _now(), rows.as_json("numbers", step.numbers))
            cursor = self._db.execute(f"INSERT OR IGNORE INTO steps ({columns}) VALUES (?, ?, ?, ?, ?)", values)
            if cursor.rowcount == 0:
                known = self.step(step.run, step.phase, step.step)
                assert known is not None, "the row that was in the way"
                rows.check_same(known, step)
                return False
            step_id = int(cursor.lastrowid or 0)
            self._add_images(run_id, step.images)
            sequence_ids = self._add_sequences(run_id, step_id, step)
            self._add_questions(sequence_ids, step, self._judge_ids(step))
        return True

    def at(self, run: str, phase: str, step: int) -> None:
        """Says which step the calls that are recorded from now on belong to."""
        self._places.set(run, phase, step)

    def here(self, run: str, phase: str, step: int) -> AbstractContextManager[None]:
        """Within it, calls of this thread belong to this step, whatever step `at` named for the others."""
        return self._places.here(run, phase, step)

    def record_calls(self, role: str, calls: Mapping[str, ModelReply]) -> None:
        """Writes down replies of the step that `at` named, by the key of their requests, in one transaction.

        One that is there already without a reply (a time-out before a kill) is replaced, and its usage added.
        """
        run, phase, step = self._places.now()
        with self._transaction():
            run_id = self._run_id(run)
            values = [calls_table.row(run_id, phase, step, role, key, reply) for key, reply in calls.items()]
            self._db.executemany(calls_table.INSERT, values)

    def recorded_calls(self, role: str, keys: Iterable[str]) -> dict[str, ModelReply]:
        """The replies among them that the step that `at` named has already; what may be had by asking again
        (`ModelReply.final`) is left out."""
        run, phase, step = self._places.now()
        with self._lock:
            return self._read(calls_table.find, (self._run_id(run), phase, step, role), keys)

    def forget_refused(self) -> None:
        """Removes the refused calls of the step that `at` named, because the step is not made."""
        run, phase, step = self._places.now()
        with self._transaction():
            calls_table.forget_refused(self._db, (self._run_id(run), phase, step))

    def begin_judging(self, run: str, name: str, *, base: str | None = None, reward: str | None = None) -> None:
        """Makes room for another view of a run beside the first: another verifier's verdicts, or another reward.

        Args:
            run: that is seen again.
            name: of the view.
            base: the judging whose verdicts a reward is computed from; None for the run's own.
            reward: the expression; None for another verifier's verdicts.
        Raises:
            ValueError: there is a judging of this name already, and it is another; or there is no such base; a name
                that nobody can see or that is no UTF-8.
        """
        base, reward = (rows.optional_text(f"judging.{n}", v) for n, v in (("base", base), ("reward", reward)))
        with self._transaction():
            judgings.begin(self._db, self._run_id(run), name, base, reward, _now())

    def record_judging(self, name: str, step: StepRecord) -> None:
        """Writes a step's verdicts, or its rewards, into the judging of that name; what is there already stays."""
        with self._transaction():
            judges = self._judge_ids(step)
            run_id, place = self._run_id(step.run), replace(step, run=encodable(step.run), phase=encodable(step.phase))
            judgings.record(self._db, place.run, run_id, encodable(name), place, judges)

    def add_labels(self, records: Iterable[LabelRecord], *, replace: bool = False) -> int:
        """Writes down what people say about questions, all in one transaction; the number of new labels.

        Args:
            records: the labels.
            replace: whether one takes the place of what its annotator said about the question before.

        Raises:
            ValueError: a question that is not in the ledger or is another; without `replace` an annotator who said
                something else about it before; nothing is written.
        """
        with self._transaction():
            return labels.add(self._db, records, replace=replace)

    # Reading

    def runs(self) -> list[RunRecord]:
        """The runs, in the order they were begun."""
        return self._read(queries.runs)

    def times(self) -> list[tuple[str, str | None]]:
        """When each run was begun, and when it was finished if it was; ISO 8601."""
        return self._read(queries.times)

    def progress(self) -> list[queries.RunProgress]:
        """How far each run came; `str()` of one is a line for the terminal."""
        return self._read(queries.progress)

    def events(self, run: str, *, kind: str | None = None) -> list[queries.EventRow]:
        """What happened, in order; of one kind, or of all."""
        return self._read(queries.events, run, kind)

    def spent(self, run: str, role: str) -> Spent:
        """What the budgets of a role were charged in a run and its evaluations, failed attempts included; without a
        cost. A client's own `spent`, so that a resumed run has the budget left that one without a stop would have."""
        return self._read(queries.spent, run, role)

    def counts(self, phase: str | None = None, *, run: str | None = None) -> queries.Counts:
        """Totals over the questions of a phase, or of all."""
        return self._read(queries.counts, phase, run)

    def steps(self, phase: str, *, run: str | None = None) -> list[queries.StepCounts]:
        """The same totals for each step of a phase, in order."""
        return self._read(queries.steps, phase, run)

    def failures(self, phase: str | None = None, *, run: str | None = None, limit: int | None = None) -> Failures:
        """The valid questions answered wrongly, in the order they were recorded, the first `limit` of them.

        They are read as one goes through them; `list(...)` keeps them.
        """
        if limit is not None and limit < 0:
            raise ValueError(f"[Ledger.failures] limit must be at least 0 or None, got {limit}")
        phase, run = (None if name is None else encodable(name) for name in (phase, run))
        return Failures(self._read, phase, run, limit)

    def recorded_steps(self, run: str) -> list[tuple[str, int]]:
        """(phase, step) of a run's steps, in the order they were recorded."""
        return self._read(queries.recorded_steps, run)

    def step(self, run: str, phase: str, step: int, *, judging: str | None = None) -> StepRecord | None:
        """A step as it was recorded, or None; with `judging`, with the verdicts and rewards of that view.

        Images that an earlier step brought are among its images, too.
        """
        return self._read(_seen, run, phase, step, judging)

    def each_step(self, run: str, *, phase: str | None = None, judging: str | None = None) -> Iterator[StepRecord]:
        """The steps of a run, or of one phase of it, in the order they were recorded; one in memory at a time. With
        `judging`, as in `step`."""
        for name, number in self.recorded_steps(run):
            if phase is None or name == phase:
                record = self.step(run, name, number, judging=judging)
                assert record is not None, "it was listed"
                yield record

    def each_judged(self, run: str) -> Iterator[JudgedQuestions]:
        """A run's questions as its verifier judged them, in order, without the rest of their steps; read as one goes
        through them."""
        return each_judged(self._read, run)

    def about(self, run: str) -> About:
        """Who judged a run, once or again, and what its updates did."""
        return self._read(about, run)

    def labels(self, run: str) -> list[LabelRecord]:
        """What people say about a run's questions, in the order of the questions."""
        return self._read(labels.find, run)

    def each_row(self) -> Iterator[Row]:
        """The questions of all runs in the order they were recorded, as `export` writes them; read as one goes."""
        return each_row(self._read)

    def export(self, path: str | Path) -> int:
        """Writes a row per question to a `.jsonl` or `.parquet` file; the number of rows. See `ledger.export`."""
        return export(self._read, path)

    def dump(self, *, times: bool = False) -> Iterator[str]:
        """All tables as text, one JSON line per row, in an order that depends on what was recorded alone. Without times
        two ledgers of one seed are equal line by line."""
        with file.reading(self._name):
            yield from queries.dump(self._db, times)

    # The parts of a step

    def _add_images(self, run_id: int, images: Iterable[ImageRecord]) -> None:
        values = [rows.image_row(run_id, image) for image in images]
        self._db.executemany("INSERT OR IGNORE INTO images (run_id, id, key, sha256) VALUES (?, ?, ?, ?)", values)
        for row in values:
            found = self._db.execute("SELECT key, sha256 FROM images WHERE run_id = ? AND id = ?", row[:2]).fetchone()
            if found != row[2:]:
                raise ValueError(f"[Ledger.record] image {row[1]}: was recorded as {found}, got {row[2:]}")

    def _add_sequences(self, run_id: int, step_id: int, step: StepRecord) -> dict[int, int]:
        """Sequence of the batch -> sequence_id."""
        query = "SELECT image_id FROM images WHERE run_id = ? AND id = ?"
        image_ids: dict[int, int] = {}
        for record in step.sequences:
            image = rows.whole(f"sequences[{record.sequence}].image", record.image)
            if image in image_ids:
                continue
            if (found := self._db.execute(query, (run_id, image)).fetchone()) is None:
                raise ValueError(
                    f"[Ledger.record] sequences[{record.sequence}].image: {image} is not recorded; "
                    "give it in StepRecord.images"
                )
            image_ids[image] = found[0]
        ids = {record.sequence: self._next_id("sequences") + i for i, record in enumerate(step.sequences)}
        self._insert(
            "sequences",
            [rows.sequence_row(ids[r.sequence], step_id, image_ids[r.image], r) for r in step.sequences],
        )
        return ids

    def _judge_ids(self, step: StepRecord) -> dict[tuple[str, str], int]:
        """(role, identity) -> judge_id, for the models of the step."""
        ids = {}
        for row in rows.judge_rows(step):
            self._db.execute(f"INSERT OR IGNORE INTO judges ({JUDGE}) VALUES (?, ?, ?, ?, ?)", row)
            query = f"SELECT judge_id FROM judges WHERE ({JUDGE}) = (?, ?, ?, ?, ?)"
            ids[row[0], row[1]] = int(self._db.execute(query, row).fetchone()[0])
        return ids

    def _add_questions(
        self, sequence_ids: dict[int, int], step: StepRecord, judges: dict[tuple[str, str], int]
    ) -> None:
        numbered = list(enumerate(step.questions, start=self._next_id("questions")))
        self._insert("questions", [rows.question_row(i, sequence_ids[q.sequence], q) for i, q in numbered])
        self._insert("verdicts", [rows.verdict_row(i, q, judges) for i, q in numbered if q.verdict is not None])
        self._insert("answers", [rows.answer_row(i, q, judges) for i, q in numbered if q.answer is not None])
        self._insert("rewards", [row for i, q in numbered for row in rows.reward_rows(i, q)])
        self._insert("annotations", [row for i, q in numbered for row in rows.annotation_rows(i, q)])

    def _insert(self, table: str, values: list[rows.Row]) -> None:
        if values:
            self._db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values[0]))})", values)

    def _next_id(self, table: str) -> int:
        return int(self._db.execute(f"SELECT coalesce(max(rowid), 0) + 1 FROM {table}").fetchone()[0])

    def _run_id(self, run: str) -> int:
        return self._read(queries.run_id, run)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._read_only:
            raise ValueError(f"[Ledger] {self.path}: was opened read_only")
        try:
            with self._lock, file.transaction(self._db):
                yield
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
            raise
        except sqlite3.OperationalError as error:
            raise OSError(
                f"[Ledger] {self.path}: cannot be written ({error}); what was recorded before is kept. "
                "Make room or give permission, then run the same again"
            ) from error
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self._name}: is damaged ({error}); put a copy of it back") from error

    def _read(self, query: Query[T], *values: Any) -> T:
        """What a function reads from the file; names are given as they are kept."""
        kept = [encodable(value) if isinstance(value, str) else value for value in values]
        with self._lock, file.reading(self._name):
            return query(self._db, *kept)


def _seen(db: sqlite3.Connection, run: str, phase: str, step: int, judging: str | None) -> StepRecord | None:
    known = reading.step_record(db, run, phase, step)
    if known is None or judging is None:
        return known
    return judgings.seen(db, run, queries.run_id(db, run), judging, known)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
