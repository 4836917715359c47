"""A run's folder: the ledger, one line of numbers per step, a checkpoint, progress in the terminal."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlmprobe.ledger import Ledger
from vlmprobe.trainer import StepReport, Trainer


class RunDirectory:
    """A new folder for one run, opened for writing.

    Args:
        path: a folder that is not there yet, or is empty.
        quiet: print no progress.

    Raises:
        ValueError: the folder holds something, or is a file.

    Example:
        >>> with RunDirectory("runs/first") as folder:  # doctest: +SKIP
        ...     folder.ledger.begin(RunRecord(id="run"))
        ...     trainer = Trainer(questioner, answerer, verifier, embedder, images, ledger=folder.ledger)
        ...     trainer.train(100, on_step=folder.on_step)
        ...     folder.save(trainer)
    """

    def __init__(self, path: str | Path, *, quiet: bool = False):
        self.path = Path(path)
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise ValueError(f"[RunDirectory] path: expected a new or empty folder, got {str(path)!r}")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"[RunDirectory] path: cannot make {str(path)!r} ({error.strerror})") from None
        self.ledger = Ledger(self.path / "ledger.sqlite")
        self.steps: int | None = None
        """Steps that are planned, for the progress line."""
        self.stage = "run"
        """What is going on: named in metrics.jsonl, and when the run is interrupted."""
        self._done = 0
        self._metrics = (self.path / "metrics.jsonl").open("w")
        self._quiet, self._began = quiet, time.monotonic()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:  # also when quiet: an interrupted run says how far it came
            self._print(f"{self.stage}: stopped after step {self._done}; the ledger so far: {self.ledger.path}")
        self._metrics.close()
        self.ledger.close()

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.path)!r})"

    def say(self, line: str) -> None:
        """A line of progress on stderr, so that what a command prints on stdout is its result."""
        if not self._quiet:
            self._print(line)

    def on_step(self, report: StepReport) -> None:
        """Appends the step to metrics.jsonl; every tenth step and the last are printed."""
        self._metrics.write(json.dumps({"stage": self.stage, **plain(vars(report))}) + "\n")
        self._metrics.flush()
        done = self._done = report.step + 1
        if done % 10 == 0 or done == self.steps:
            rate = 100 * report.wrong / max(1, report.valid)
            of = f"/{self.steps}" if self.steps else ""
            self.say(
                f"step {done}{of}  valid {report.valid}/{report.questions}  wrong {report.wrong} ({rate:.0f} %)  "
                f"reward {report.reward:+.3f}  KL {report.kl:.3f}"
            )

    def _print(self, line: str) -> None:
        print(f"[{time.monotonic() - self._began:5.0f} s] {line}", file=sys.stderr, flush=True)

    def save(self, trainer: Trainer) -> None:
        """Writes the checkpoint; see `Trainer.save`."""
        trainer.save(self.path / "checkpoint")


def plain(value: Any) -> Any:
    """For JSON: numbers that are not finite as null, mappings and sequences all the way down."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
