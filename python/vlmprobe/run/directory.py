"""A run's folder: the ledger, one line of numbers per step, checkpoints, progress in the terminal."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from vlmprobe._util.bar import Bar
from vlmprobe._util.checks import check_count
from vlmprobe._util.files import write_text
from vlmprobe._util.json import plain as plain
from vlmprobe._util.optional import installed
from vlmprobe.data.source import Recalled
from vlmprobe.ledger import Ledger
from vlmprobe.loop.report import StepReport, warnings_of
from vlmprobe.models.service import StepNotMade
from vlmprobe.run.lines import recorded_report, split_lines, step_line
from vlmprobe.run.pictures import left_out
from vlmprobe.run.stopping import Stopping
from vlmprobe.run.trainer import Trainer

PROBE = "probe.yaml"  # what is asked for in a folder where nothing ran yet


class RunDirectory:
    """A folder for one run, opened for writing by one process at a time.

    Args:
        path: a folder that is not there yet, or is empty; with `resume` also one of an earlier run.
        quiet: print no progress.
        resume: go on with the run that the folder holds.

    Raises:
        ValueError: the folder holds something else, is a file, or another process has it; or it holds a run whose
            ledger is gone; a name that is no UTF-8, in which no checkpoint could be written.
        OSError: it cannot be written.

    Example:
        >>> with RunDirectory("runs/first", resume=True) as folder:  # doctest: +SKIP
        ...     folder.ledger.begin(RunRecord(id="run"))
        ...     trainer = Trainer(questioner, answerer, verifier, embedder, images, ledger=folder.ledger)
        ...     folder.load(trainer)
        ...     folder.train(trainer, 100)
    """

    def __init__(self, path: str | Path, *, quiet: bool = False, resume: bool = False):
        self.path = Path(path)
        _check_name(self.path)
        _check_folder(self.path, resume)
        with self._writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path)
        self.resumed = (self.path / "ledger.sqlite").exists()
        """Whether an earlier process began this run."""
        try:
            self.ledger = Ledger(self.path / "ledger.sqlite")
            with self._writing(self.path / "metrics.jsonl"):
                self._metrics = (self.path / "metrics.jsonl").open("a")
        except BaseException:
            os.close(self._lock)
            raise
        self.steps: int | None = None
        """Steps that are planned, for the progress line."""
        self.stage = "run"
        """What is going on: named in metrics.jsonl, and when the run is interrupted."""
        self.done = 0
        """Steps that were made, for an interruption's line."""
        self._failing: set[str] = set()
        self._warned: set[str] = set()
        self._quiet, self._began = quiet, time.monotonic()
        self._bar = Bar(None, wanted=False)

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # also when quiet: an interrupted run says how far it came
            self._print(f"{self.stage}: stopped after step {self.done}; the ledger so far: {self.ledger.path}")
        with suppress(OSError):  # every line is in the file already, or its error was raised
            self._metrics.close()
        self.ledger.close()
        os.close(self._lock)

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def say(self, line: str) -> None:
        """A line of progress on stderr, so that what a command prints on stdout is its result."""
        if not self._quiet:
            self._print(line)

    def on_step(self, report: StepReport) -> None:
        """Appends the step to metrics.jsonl. Every tenth step and the last are printed, and those at which something
        begins to fail; what a step could hardly teach anything for is said when it begins, with what to change."""
        with self._writing(self.path / "metrics.jsonl"):
            self._metrics.write(step_line(self.stage, report))
            self._metrics.flush()
        done = self.done = report.step + 1
        self._bar.update(done, self._line(report))
        now = not self._bar.live and (done % 10 == 0 or done == self.steps)
        if now or not report.why.keys() <= self._failing:
            self.say(self._line(report))
        self._failing |= report.why.keys()
        warned = warnings_of(report)
        if warned and warned.keys() != self._warned:
            self._warned = set(warned)
            for sentence in warned.values():
                self._print(f"step {done}: warning: {sentence}")  # also when quiet

    def _line(self, report: StepReport) -> str:
        of = f"/{self.steps}" if self.steps else ""
        rate = 100 * report.wrong / max(1, report.valid)
        why = ", ".join(f"{name} {count}" for name, count in report.why.items())
        unscored = f"  unscored {report.unscored}" + (f" ({why})" if why else "") if report.unscored or why else ""
        return (
            f"step {report.step + 1}{of}  valid {report.valid}/{report.questions}  wrong {report.wrong} ({rate:.0f} %)"
            f"{unscored}  reward {report.reward:+.3f}  KL {report.kl:.3f}"
        )

    def say_left_out(self, run: str, phase: str, step: int, count: int) -> None:
        """A line for each picture that a step could not read."""
        for one in left_out(self.ledger, run, phase, step)[-count:] if count else ():
            self.say(f"step {step + 1}: left out: {one.reason}")

    def _print(self, line: str) -> None:
        self._bar.say(f"[{time.monotonic() - self._began:5.0f} s] {line}")

    def train(self, trainer: Trainer, steps: int, *, checkpoint_every: int = 10) -> None:
        """Makes the steps that are missing up to `steps`, with a checkpoint every so many and one at the end.

        Raises:
            BudgetSpent, Unserved: a model's budget did not last, or no call of one came through; a checkpoint of the
                steps so far is there.
            KeyboardInterrupt: SIGINT or SIGTERM, after the step that it came in and with a checkpoint of it; a second
                one ends the step at once.
        """
        check_count("RunDirectory.train", "checkpoint_every", checkpoint_every)
        self.steps, saved = steps, trainer.next_step
        try:
            with (
                Bar(steps, done=trainer.next_step, wanted=not self._quiet) as self._bar,
                Stopping().heard() as stopping,
            ):
                while trainer.next_step < steps and not stopping.asked:
                    report = trainer.step()
                    self.say_left_out(trainer.run, "train", report.step, report.left_out)
                    self.on_step(report)
                    if trainer.next_step % checkpoint_every == 0:
                        self.save(trainer)
                        saved = trainer.next_step
                if saved != trainer.next_step:
                    self.save(trainer)
        except StepNotMade:
            if saved != trainer.next_step:
                self.save(trainer)
            raise

    def save(self, trainer: Trainer) -> None:
        """Writes a checkpoint; see `Trainer.save`."""
        trainer.save(self.path / "checkpoints")

    def load(self, trainer: Trainer, *, step: int | None = None) -> None:
        """Takes up the newest checkpoint, or that of a step; without one the run begins at step 0. See `Trainer.load`.

        metrics.jsonl is written anew: the lines of this stage from the ledger, up to where the run goes on; those of
        other stages, and of steps that the ledger has not, as they are. What is no line of numbers is left out.
        """
        trainer.load(self.path / "checkpoints", step=step, missing_ok=True)
        if isinstance(trainer.images, Recalled):
            self.say(f"pictures are others than when the run began: {trainer.images.changes}")
        self.done = trainer.next_step
        file = self.path / "metrics.jsonl"
        with self._writing(file):
            self._metrics.close()
            others, mine = split_lines(file, self.stage)
            for record in self.ledger.each_step(trainer.run, phase="train"):
                mine[record.step] = step_line(self.stage, recorded_report(record))
            own = [mine[number] for number in sorted(mine) if number < self.done]
            write_text(file, "".join([*others, *own]))
            self._metrics = file.open("a")

    @contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                f"[RunDirectory] {path}: cannot be written ({error.strerror}); what was written before is kept. "
                "Make room or give permission, or name another folder"
            ) from error


def versions() -> dict[str, str]:
    """Of what computes, for a run's head."""
    return {name: version(name) for name in ("torch", "transformers", "vlmprobe") if installed(name)}


def ledger_of(path: str | Path) -> Path:
    """The ledger in a run's folder.

    Raises:
        ValueError: there is none.
    """
    _check_whole(Path(path))
    file = Path(path) / "ledger.sqlite"
    if not file.is_file():
        raise ValueError(f"[RunDirectory] path: expected the folder of a run, got {str(path)!r}")
    return file


def _check_whole(path: Path) -> None:
    """What an earlier process left has its ledger."""
    metrics = path / "metrics.jsonl"
    left = sorted((path / "checkpoints").glob("**/step-*"))[-1:]
    left += [metrics] if metrics.is_file() and metrics.stat().st_size else []
    there = next((each for each in left if each.exists()), None)
    if there is not None and not (path / "ledger.sqlite").exists():
        raise ValueError(
            f"[RunDirectory] {path / 'ledger.sqlite'}: expected the ledger of this run beside {there.name}, got none: "
            "put it back to go on, or name another folder to begin anew"
        )


def _check_name(path: Path) -> None:
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise ValueError(f"[RunDirectory] path: expected a name in UTF-8, got {str(path)!r}") from None


def _check_folder(path: Path, resume: bool) -> None:
    if not path.exists():
        return
    expected = "a new or empty folder" + (", or that of a run" if resume else "")
    if not path.is_dir():
        raise ValueError(f"[RunDirectory] path: expected {expected}, got a file, {str(path)!r}")
    if resume:
        _check_whole(path)
    names = {inside.name for inside in path.iterdir()}
    if names and not (resume and names & {"lock", "ledger.sqlite", PROBE}):
        raise ValueError(f"[RunDirectory] path: expected {expected}, got {str(path)!r}")


def _locked(path: Path) -> int:
    """A handle that holds the folder's lock; the system lets go of it when the process ends, however it ends."""
    handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
    except BlockingIOError:
        process = os.read(handle, 32).decode().strip() or "unknown"
        os.close(handle)
        raise ValueError(
            f"[RunDirectory] path: {str(path)!r} is in use by process {process}: wait until it ends, "
            "or name another folder"
        ) from None
    except BaseException:
        os.close(handle)
        raise
    return handle
