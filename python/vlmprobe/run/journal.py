"""The journal of a run with a ledger: each step is written down, and a step that is there already is read back.

asked live       models are asked; groups are examined while others are drawn, where the run overlaps
gone through     a step of a resumed run that the ledger has: asked again by the same weights, its texts checked,
                 its verdicts, answers and annotations taken from there; no call is paid for twice
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from vlmprobe.data.order import LeftOut
from vlmprobe.ledger import Ledger, StepRecord, made_or_not
from vlmprobe.loop.ask import ImagesOf, ask, calls_at_most, show
from vlmprobe.loop.journal import LivePage, Page
from vlmprobe.loop.record import HINT, LEFT_OUT, SHORT, examined_as_recorded, step_record
from vlmprobe.loop.round import Place, Round
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.models.replies import Reply
from vlmprobe.models.service import UNSERVED, Service
from vlmprobe.policy.asker import Asker
from vlmprobe.run.canaries import Canaried, CanaryWatch
from vlmprobe.run.overlap import Overlap
from vlmprobe.run.pictures import left_out, say_left_out

Annotator = Callable[[Picture, str, Reply | None], Mapping[str, Any]]
"""(picture, question, reply or None) to what is known besides, for the ledger."""


class RunJournal:
    """Pages of one phase of a run.

    Args:
        run, phase: their names in the ledger.
        ledger: where steps are written down; None: nowhere. The run must have begun.
        resumed: whether steps that the ledger has already are gone through again; else they are an error.
        annotate: adds what is known about a question besides, such as the world's truth.
        overlap: judge and answer a group as soon as it is drawn, while others still are.
        watched: a verifier with canaries; what became of them is written down step by step.

    Example:
        >>> journal = RunJournal("RL/evaluation", "evaluation", ledger=ledger)  # doctest: +SKIP
        >>> evaluate(asker, answerer, verifier, images_of, calls=600, k=2, seed=0, journal=journal)  # doctest: +SKIP
    """

    def __init__(
        self,
        run: str = "run",
        phase: str = "train",
        *,
        ledger: Ledger | None = None,
        resumed: bool = False,
        annotate: Annotator | None = None,
        overlap: Callable[..., Overlap] | None = None,
        watched: Verifier | None = None,
    ):
        self.run, self.phase, self.ledger = run, phase, ledger
        self.resumed, self.annotate, self.overlap = resumed, annotate, overlap
        self.service = Service()
        self.watch = CanaryWatch(ledger, run)
        self.on_round: Callable[[Round], None] | None = None
        """Sees each round that is written down."""
        self._canaries = watched if isinstance(watched, Canaried) else None

    @contextmanager
    def open(self, step: int, *, max_calls: int | None = None, asking_free: bool = False) -> Iterator[Page]:
        """See `vlmprobe.loop.journal.Journal`.

        Raises:
            RuntimeError: the ledger has the step, and the run is not a resumed one.
        """
        self._take_canaries()  # those of no step, such as one that was not made
        known = self.known(step)
        place = Place(run=self.run, phase=self.phase, step=step)
        with made_or_not(self.ledger), ExitStack() as stack:
            if known is None:
                yield RunPage(self, place, max_calls, asking_free, stack)
            else:
                yield RecordedPage(self, place, max_calls, asking_free, stack, known)

    def known(self, step: int) -> StepRecord | None:
        """What the ledger has of a step that is yet to be made: something where a resumed run went further than its
        checkpoint.

        Raises:
            RuntimeError: it has something, and this run is not a resumed one.
        """
        if self.ledger is None:
            return None
        self.ledger.at(self.run, self.phase, step)
        found = self.ledger.step(self.run, self.phase, step)
        if found is not None and not self.resumed:
            raise RuntimeError(
                f"[journal] step {step} of run {self.run!r} is in the ledger already: resume it with Trainer.load, "
                "or name another run or phase"
            )
        return found

    def recall(self, round: Round) -> None:
        """Takes note of which roles were served in a round that was read back."""
        if any(answer is not None and answer.failure not in UNSERVED for answer in round.answers):
            self.service.saw("answerer")
        verdicts = [verdict for verdict in round.verdicts if verdict is not None]
        if any(verdict.failure not in UNSERVED or verdict.valid is not None for verdict in verdicts):
            self.service.saw("verifier")

    def wrote(self, round: Round) -> None:
        """Takes a round that is written down."""
        if self.on_round is not None:
            self.on_round(round)
        if round.rewards is not None:
            self.watch.see(round.place.step, float(round.rewards.total.nanmean()), self._take_canaries())

    def _take_canaries(self) -> Mapping[str, Any]:
        return {} if self._canaries is None else self._canaries.take_canaries()


class RunPage(LivePage):
    """A step that is made now."""

    def __init__(
        self, journal: RunJournal, place: Place, max_calls: int | None, asking_free: bool, stack: ExitStack
    ) -> None:
        super().__init__(place, journal.service, max_calls, asking_free)
        self._journal, self._stack = journal, stack
        self._overlap: Overlap | None = None
        self._asked_of: tuple[Answerer, Verifier] | None = None

    def ask(self, asker: Asker, images_of: ImagesOf, *, k: int, group_size: int = 1, seed: int) -> Round:
        """See `vlmprobe.loop.journal.Page`."""
        shown = self.shown(asker, images_of, k=k, group_size=group_size)
        if not shown.images:
            return shown
        self._overlap = self._overlapping(shown, asker, k=k, group_size=group_size)
        return ask(shown, asker, k=k, group_size=group_size, seed=seed, on_group=self._overlap)

    def examine(self, round: Round, answerer: Answerer, verifier: Verifier) -> Round:
        """See `vlmprobe.loop.journal.Page`."""
        self._asked_of = answerer, verifier
        if self._overlap is not None:
            return self._annotated(self._overlap.examined(round))
        return self._annotated(super().examine(round, answerer, verifier))

    def write(self, round: Round, numbers: Mapping[str, float] | None = None) -> None:
        """See `vlmprobe.loop.journal.Page`."""
        assert self._asked_of is not None, "examined before it is written"
        if self._journal.ledger is not None:
            self._journal.ledger.record(step_record(round, *self._asked_of, numbers=numbers))
        self._journal.wrote(round)

    def say_left_out(self, unread: Sequence[LeftOut]) -> None:
        """In the ledger where there is one."""
        if self._journal.ledger is None:
            super().say_left_out(unread)
        else:
            say_left_out(self._journal.ledger, self.place, unread)

    def _overlapping(self, shown: Round, asker: Asker, *, k: int, group_size: int) -> Overlap | None:
        most = len(shown.images) * (k * group_size + calls_at_most(asker, k=k, group_size=group_size))
        short = self._max_calls is not None and self._max_calls < most
        if self._journal.overlap is None or short:
            return None
        return self._stack.enter_context(self._journal.overlap(shown, k=k, service=self._journal.service))

    def _annotated(self, round: Round) -> Round:
        annotate = self._journal.annotate
        if annotate is None and not round.asked.hints:
            return round
        rows = zip(round.pictures, round.questions.text, round.answers, strict=True)
        known = [annotate(*row) if annotate is not None and row[1] else {} for row in rows]
        hinted = [{HINT: hint} if hint else {} for hint in round.hints]
        return replace(round, annotations=[{**more, **hint} for more, hint in zip(known, hinted, strict=True)])


class RecordedPage(RunPage):
    """A step that the ledger has."""

    def __init__(
        self,
        journal: RunJournal,
        place: Place,
        max_calls: int | None,
        asking_free: bool,
        stack: ExitStack,
        known: StepRecord,
    ) -> None:
        super().__init__(journal, place, max_calls, asking_free, stack)
        self._known = known

    def show(self, asker: Asker, images_of: ImagesOf) -> tuple[Sequence[Picture], int]:
        """The images that the step was about when it was made, also where others can be read by now."""
        before = self._left_out()
        images, _ = show(images_of, self.place, asker, before=before)
        return images, len(before)

    def afforded(self, asker: Asker, images: Sequence[Picture], *, k: int, group_size: int) -> Sequence[Picture]:
        """As many as were asked about when it was made, whatever calls there are now."""
        return images[: len(images) - int(self._known.numbers.get(SHORT) or 0)]

    def examine(self, round: Round, answerer: Answerer, verifier: Verifier) -> Round:
        """With the replies that the ledger has."""
        self._asked_of = answerer, verifier
        examined = examined_as_recorded(round, self._known)
        self._journal.recall(examined)
        return examined

    def _overlapping(self, shown: Round, asker: Asker, *, k: int, group_size: int) -> None:
        return None

    def _left_out(self) -> set[int]:
        """Numbers of the images that the step left out."""
        count, ledger, place = int(self._known.numbers.get(LEFT_OUT) or 0), self._journal.ledger, self.place
        if ledger is None or not count:
            return set()
        return {one.id for one in left_out(ledger, place.run, place.phase, place.step)[-count:]}
