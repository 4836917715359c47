"""Asking about the next pictures while the questions about these are still judged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any

from vlmprobe.ledger import Ledger
from vlmprobe.loop.ask import ImagesOf, refusing
from vlmprobe.loop.round import Place
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import Asked, Asker


class Ahead:
    """An asker that begins with step t + 1 as soon as it has asked step t.

    It is for an asker that nothing changes between steps, or that is shown them late (`vlmprobe.run.lag`): one that
    learns by the step before would ask something else. What it says is what the asker says; a step that comes otherwise
    than it was expected (other pictures, another seed) is asked anew.

    Args:
        asker: who asks; called from a thread of its own.
        images_of: step -> its images; read in that thread, too, one step at a time.
        run, phase: of the steps, for the ledger.
        ledger: where the asker's calls are recorded; None: nowhere.
        worth: whether a step is likely to come, by its number; what is not is not begun.

    Example:
        >>> with Ahead(asker, images_of) as ahead:  # doctest: +SKIP
        ...     evaluate(ahead, answerer, verifier, ahead.images_of, calls=1000, k=2, seed=0)
    """

    def __init__(
        self,
        asker: Asker,
        images_of: ImagesOf,
        *,
        run: str = "run",
        phase: str = "probe",
        ledger: Ledger | None = None,
        worth: Callable[[int], bool] = lambda step: True,
    ):
        self._asker, self._images_of, self._worth = asker, images_of, worth
        self._place, self._ledger = (run, phase), ledger
        self._one_at_a_time = threading.Lock()
        self._begun: _Begun | None = None

    @property
    def identity(self) -> str:
        """The asker's."""
        return self._asker.identity

    def cannot_ask(self, image: Picture) -> str:
        """The asker's; see `vlmprobe.loop.ask.refusing`."""
        return refusing(self._asker)(image)

    def images_of(self, step: int) -> Sequence[Picture]:
        """The images of a step; those of the step that was begun are there already."""
        begun = self._begun
        if begun is not None and begun.place.step == step:
            return begun.images.result()
        with self._one_at_a_time:
            return self._images_of(step)

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Asked:
        """See `vlmprobe.policy.asker.Asker`."""
        wanted = {"k": k, "group_size": group_size, "seed": seed}
        begun, self._begun = self._begun, None
        if begun is not None and begun.is_about(images, step, wanted):
            asked = begun.asked.result()
        else:
            asked = self._asker.ask(images, step=step, **wanted)
        if self._worth(step + 1):
            run, phase = self._place
            self._begun = _Begun(Place(run=run, phase=phase, step=step + 1), wanted)
            threading.Thread(target=self._go_ahead, args=(self._begun,), daemon=True).start()
        return asked

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Waits for what was begun, because its replies are paid for; not where an error ends the run."""
        if self._begun is not None and kind is None:
            self._begun.asked.exception()

    def _go_ahead(self, begun: _Begun) -> None:
        place = begun.place
        try:
            with self._one_at_a_time:
                images = self._images_of(place.step)
            begun.images.set_result(images)
        except BaseException as error:  # raised again by the thread that waits
            begun.images.set_exception(error)
            begun.asked.set_exception(error)
            return
        try:
            begun.about = [image for image in images if not self.cannot_ask(image)]
            here = nullcontext() if self._ledger is None else self._ledger.here(place.run, place.phase, place.step)
            with here:
                begun.asked.set_result(
                    self._asker.ask(begun.about, step=place.step, **begun.wanted) if begun.about else None
                )
        except BaseException as error:
            begun.asked.set_exception(error)


class _Begun:
    """A step that is asked ahead."""

    def __init__(self, place: Place, wanted: dict[str, Any]):
        self.place, self.wanted = place, wanted
        self.about: Sequence[Picture] = ()
        self.images: Future[Sequence[Picture]] = Future()
        self.asked: Future[Any] = Future()

    def is_about(self, images: Sequence[Picture], step: int, wanted: dict[str, Any]) -> bool:
        """Whether it is this step that was begun; waits until that is known."""
        if step != self.place.step or wanted != self.wanted:
            return False
        if self.images.exception() is not None:
            return False
        self.asked.exception()  # what it is about is known by then
        return [image.id for image in self.about] == [image.id for image in images]
