"""What a person sees of a trainer's steps as they are made, and a way to stop after one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vlmprobe._util.bar import Bar
from vlmprobe.loop.report import StepReport
from vlmprobe.loop.round import Round
from vlmprobe.run.stopping import Stopping

OnStep = Callable[[StepReport], None]


@contextmanager
def watched(total: int, done: Callable[[], int], on_step: OnStep | None, *, show: bool) -> Iterator[OnStep]:
    """Steps with a bar in a terminal or a notebook, until Ctrl-C, which is heard after the step.

    Args:
        total: what `done` runs to: steps or calls.
        done: how much of it there is by now.
        on_step: of the caller, which sees each report first.
        show: whether there is a bar.
    """
    questions = valid = wrong = calls = 0
    with Bar(total, done=done(), wanted=show) as bar, Stopping().heard() as stopping:

        def see(report: StepReport) -> None:
            nonlocal questions, valid, wrong, calls
            if on_step is not None:
                on_step(report)
            questions, valid = questions + report.questions, valid + report.valid
            wrong, calls = wrong + report.wrong, calls + report.calls
            bar.update(
                done(),
                f"step {report.step + 1}: {_found(questions, valid, wrong, calls)}, "
                f"reward {report.reward:+.3f}, KL {report.kl:.3f}",
            )
            stopping.check()

        yield see


@contextmanager
def watched_rounds(total: int, *, show: bool) -> Iterator[Callable[[Round], None]]:
    """An evaluation with a bar to its calls."""
    questions = valid = wrong = calls = 0
    with Bar(total, wanted=show) as bar:

        def see(round: Round) -> None:
            nonlocal questions, valid, wrong, calls
            questions, valid = questions + len(round.questions), valid + int((round.valid == 1).sum())
            wrong, calls = wrong + len(round.failed), calls + round.calls
            bar.update(calls, f"evaluation: {_found(questions, valid, wrong, calls)}")

        yield see


def _found(questions: int, valid: int, wrong: int, calls: int) -> str:
    rates = f"{100 * valid / max(1, questions):.0f} % valid, {wrong} wrong answers"
    return f"{questions} questions, {rates}, {calls} calls"
