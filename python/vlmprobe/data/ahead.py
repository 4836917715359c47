"""Pictures beside the models: those of the next step are decoded while this one runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Step = TypeVar("Step", bound=Sequence[object])


class Prefetched(Generic[Step]):
    """`images_of`, a step ahead: see `prefetched`."""

    def __init__(self, images_of: Callable[[int], Step]) -> None:
        self._images_of = images_of
        self._lock = threading.Lock()
        self._reading = threading.Lock()  # one step is read at a time: a source need not bear two readers
        self._steps: dict[int, Future[Step]] = {}

    def __call__(self, step: int) -> Step:
        """The images of a step."""
        future, mine = self._claim(step)
        if mine:
            self._read(step, future)
        try:
            found = future.result()
        except BaseException:
            with self._lock:
                self._steps.pop(step, None)  # a source that is back may be asked again
            raise
        with self._lock:
            for other in [other for other in self._steps if other not in (step, step + 1)]:
                del self._steps[other]
        following, mine = self._claim(step + 1)
        if mine:
            threading.Thread(
                target=self._read, args=(step + 1, following), name=f"pictures of step {step + 1}", daemon=True
            ).start()
        return found

    def _claim(self, step: int) -> tuple[Future[Step], bool]:
        with self._lock:
            known = self._steps.get(step)
            if known is not None:
                return known, False
            self._steps[step] = future = Future[Step]()
            return future, True

    def _read(self, step: int, future: Future[Step]) -> None:
        try:
            with self._reading:
                future.set_result(self._images_of(step))
        except BaseException as error:  # is raised where the step is asked for
            future.set_exception(error)


def prefetched(images_of: Callable[[int], Step]) -> Callable[[int], Step]:
    """step -> its images, of which those of the following step are read in a thread meanwhile.

    What a step gets is what `images_of` gives, its errors too: one that the thread met is raised when its step is asked
    for. Two steps are in memory at most, each is read once however often it is asked for in a row, and never two at the
    same time. The last step that is read may be one that nobody asks for.

    Args:
        images_of: such as `shuffled` and `in_order` give; is called from another thread.

    Example:
        >>> images_of = prefetched(shuffled(FolderImages("photos"), 8, seed=0))  # doctest: +SKIP
    """
    return Prefetched(images_of)
