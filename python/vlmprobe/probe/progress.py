"""How far a probe is: a bar in a terminal or a notebook, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from vlmprobe._util.bar import Bar
from vlmprobe.loop.examine import failures_of
from vlmprobe.loop.round import Round
from vlmprobe.probe.config import Budget
from vlmprobe.probe.signs import Signs

PAUSE_S = 10.0  # between two lines


class Progress:
    """Steps, rates, failures found, calls, their cost and the time that is left, on stderr.

    Args:
        budget: of the probe; the bar runs to its calls, or else its steps.
        cost: what all calls cost so far; None where there are no prices.
        quiet: say nothing.
    """

    def __init__(self, budget: Budget, *, cost: Callable[[], float] | None = None, quiet: bool = False):
        self._quiet, self._began, self._said = quiet, time.monotonic(), -PAUSE_S
        self._goal = budget.calls or budget.steps or 0
        self._by_calls = budget.calls is not None
        self.steps = self.calls = self._questions = self._valid = self._judged = self._wrong = self._lost = 0
        self._posed = self._unscored = self._replies = self._cut = 0
        self._cost, self._bar = cost, Bar(self._goal or None, wanted=not quiet)

    def __enter__(self) -> Progress:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.update(self._done, self.line())
        self._bar.__exit__()
        if self.steps and not self._bar.stays:
            self._say(self.line())

    def see(self, round: Round, signs: Signs) -> None:
        """Takes an examined round, and its signs."""
        self.steps += 1
        self.calls += round.calls
        self._questions += len(round.questions)
        self._valid += int((round.valid == 1).sum())
        self._wrong += len(round.failed)
        self._judged += int(((round.valid == 1) & (round.correct >= 0)).sum())
        self._lost += sum(sum(each.values()) for each in failures_of(round).values())
        self._posed += signs.posed
        self._unscored += signs.unscored
        self._replies += sum(signs.replies.values())
        self._cut += sum(signs.cut.values())
        if self._bar.live:
            self._bar.update(self._done, self.line())
        elif time.monotonic() - self._said > PAUSE_S:
            self._said = time.monotonic()
            self._say(self.line())

    def line(self) -> str:
        """What was found so far."""
        qvr = 100 * self._valid / max(1, self._questions)
        fdr = 100 * self._wrong / max(1, self._judged)
        unscored, cut = (100 * part / max(1, of) for part, of in self._shares())
        lost = f", {self._lost} calls brought nothing" if self._lost else ""
        cost = f", cost {self._cost():.4g}" if self._cost is not None else ""
        goal = f" of {self._goal}" if self._by_calls and self._goal else ""
        return (
            f"step {self.steps}: {self._questions} questions, {qvr:.0f} % valid, "
            f"{self._wrong} wrong answers ({fdr:.0f} %), {self.calls}{goal} calls{cost}, "
            f"{unscored:.0f} % unscored, {cut:.0f} % cut{lost}"
        )

    def say(self, line: object) -> None:
        """A line above the bar."""
        self._say(f"warning: {line}")

    @property
    def _done(self) -> int:
        return self.calls if self._by_calls else self.steps

    def _shares(self) -> tuple[tuple[int, int], tuple[int, int]]:
        return (self._unscored, self._posed), (self._cut, self._replies)

    def _say(self, line: str) -> None:
        if not self._quiet:
            self._bar.say(f"[{time.monotonic() - self._began:5.0f} s] {line}")
