"""How far a probe is, in the terminal: a bar where there is one, else a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Any

from vlmprobe._util.visible import say
from vlmprobe.loop.examine import failures_of
from vlmprobe.loop.round import Round
from vlmprobe.probe.config import Budget

PAUSE_S = 10.0  # between two lines


class Progress:
    """Steps, rates, failures found, calls and the time that is left, on stderr.

    Args:
        budget: of the probe; the bar runs to its calls, or else its steps.
        quiet: say nothing.
    """

    def __init__(self, budget: Budget, *, quiet: bool = False):
        self._quiet, self._began, self._said = quiet, time.monotonic(), -PAUSE_S
        self._goal = budget.calls or budget.steps or 0
        self._by_calls = budget.calls is not None
        self.steps = self._calls = self._questions = self._valid = self._wrong = self._lost = 0
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("", total=self._goal or None)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self.steps:
            self._say(self.line())

    def see(self, round: Round) -> None:
        """Takes an examined round."""
        self.steps += 1
        self._calls += round.calls
        self._questions += len(round.questions)
        self._valid += int((round.valid == 1).sum())
        self._wrong += len(round.failed)
        self._lost += sum(sum(each.values()) for each in failures_of(round).values())
        if self._bar is not None:
            done = self._calls if self._by_calls else self.steps
            self._bar.update(self._task, completed=done, description=self.line())
        elif time.monotonic() - self._said > PAUSE_S:
            self._said = time.monotonic()
            self._say(self.line())

    def line(self) -> str:
        """What was found so far."""
        qvr = 100 * self._valid / max(1, self._questions)
        fdr = 100 * self._wrong / max(1, self._valid)
        lost = f", {self._lost} calls brought nothing" if self._lost else ""
        goal = f" of {self._goal}" if self._by_calls and self._goal else ""
        return (
            f"step {self.steps}: {self._questions} questions, {qvr:.0f} % valid, {self._wrong} failures ({fdr:.0f} %), "
            f"{self._calls}{goal} calls{lost}"
        )

    def _say(self, line: str) -> None:
        if not self._quiet:
            say(f"[{time.monotonic() - self._began:5.0f} s] {line}", to=sys.stderr, flush=True)
