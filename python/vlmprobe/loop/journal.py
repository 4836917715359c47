"""What of a step is asked live or read back, how many calls it may take, and what is written down.

A loop opens a page of its journal for each step, and goes through the page where a model is asked or something is kept.
So it has no branch for a budget, a ledger or a resumed run. `Unkept` is the journal of a loop that keeps nothing;
`vlmprobe.run.journal.RunJournal` has a ledger, and reads back what that has already.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from vlmprobe.data.order import LeftOut
from vlmprobe.loop.ask import ImagesOf, affordable, ask, reasons, show
from vlmprobe.loop.examine import examine
from vlmprobe.loop.round import Place, Round
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.models.service import Service
from vlmprobe.policy.asker import Asker


class Page(Protocol):
    """A step of a journal."""

    def ask(self, asker: Asker, images_of: ImagesOf, *, k: int, group_size: int = 1, seed: int) -> Round:
        """The asked round about the step's images, as many of them as the calls do for; a round without images where
        the step has none."""

    def examine(self, round: Round, answerer: Answerer, verifier: Verifier) -> Round:
        """The round with verdicts and answers."""

    def write(self, round: Round, numbers: Mapping[str, float] | None = None) -> None:
        """Keeps the round, with what its update did."""


class Journal(Protocol):
    """Pages by step."""

    def open(
        self, step: int, *, max_calls: int | None = None, asking_free: bool = False
    ) -> AbstractContextManager[Page]:
        """The page of a step, for as long as the block lasts.

        Args:
            step: its number.
            max_calls: answerer calls that it may take; None: as many as it likes.
            asking_free: calls that asking takes are not among them.
        """


class LivePage:
    """Everything is asked, within the calls; nothing is kept."""

    def __init__(self, place: Place, service: Service, max_calls: int | None = None, asking_free: bool = False):
        self.place, self._service = place, service
        self._max_calls, self._asking_free = max_calls, asking_free

    def ask(self, asker: Asker, images_of: ImagesOf, *, k: int, group_size: int = 1, seed: int) -> Round:
        """See `Page.ask`."""
        shown = self.shown(asker, images_of, k=k, group_size=group_size)
        return ask(shown, asker, k=k, group_size=group_size, seed=seed) if shown.images else shown

    def shown(self, asker: Asker, images_of: ImagesOf, *, k: int, group_size: int) -> Round:
        """The round with the images that can be asked about, as many as the calls do for."""
        images, left_out = self.show(asker, images_of)
        some = self.afforded(asker, images, k=k, group_size=group_size)
        return Round(place=self.place, images=some, left_out=left_out, short=len(images) - len(some))

    def afforded(self, asker: Asker, images: Sequence[Picture], *, k: int, group_size: int) -> Sequence[Picture]:
        """The images that the step's calls do for."""
        if self._max_calls is None or self._asking_free:
            return images
        return affordable(asker, images, self._max_calls, k=k, group_size=group_size)

    def show(self, asker: Asker, images_of: ImagesOf) -> tuple[Sequence[Picture], int]:
        """The step's images, and how many are left out, which is said."""
        images, unread = show(images_of, self.place, asker)
        self.say_left_out(unread)
        return images, len(unread)

    def examine(self, round: Round, answerer: Answerer, verifier: Verifier) -> Round:
        """See `Page.examine`."""
        return examine(round, answerer, verifier, max_calls=self.calls_left(round), service=self._service)

    def calls_left(self, round: Round) -> int | None:
        """Answerer calls that are left for the questions of an asked round."""
        if self._max_calls is None:
            return None
        return self._max_calls - (0 if self._asking_free else round.asked.calls)

    def write(self, round: Round, numbers: Mapping[str, float] | None = None) -> None:
        """Keeps nothing."""

    def say_left_out(self, unread: Sequence[LeftOut]) -> None:
        """Says which pictures the step leaves out."""
        if unread:
            where = f"[{self.place.phase}] step {self.place.step}"
            warnings.warn(f"{where}: {len(unread)} pictures left out: {reasons(unread)}", stacklevel=4)


class Unkept:
    """The journal that keeps nothing: every step is asked live."""

    def __init__(self, run: str = "run", phase: str = "train"):
        self.run, self.phase, self._service = run, phase, Service()

    @contextmanager
    def open(self, step: int, *, max_calls: int | None = None, asking_free: bool = False) -> Iterator[Page]:
        """See `Journal.open`."""
        yield LivePage(Place(run=self.run, phase=self.phase, step=step), self._service, max_calls, asking_free)
