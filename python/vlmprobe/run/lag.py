"""What became of questions, shown a step late to an asker that is asked ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from vlmprobe.loop.ask import refusing, show_learner
from vlmprobe.loop.round import Round
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import Asked, Asker

LAG = 1
"""Steps that are judged while the next is asked: step t is asked by what became of steps up to t - 1 - LAG."""


class Lagged:
    """An asker that learns, and is asked about step t while step t - 1 is still judged.

    A step that a run goes on from is asked by the same steps as in a run that nothing stopped. `see` may be called by
    one thread while another asks.

    Args:
        asker: who asks, and learns (`vlmprobe.loop.ask.Learns`).
    """

    def __init__(self, asker: Asker):
        self._asker, self._waiting = asker, deque[Round]()

    @property
    def identity(self) -> str:
        """The asker's."""
        return self._asker.identity

    def cannot_ask(self, image: Picture) -> str:
        """The asker's; see `vlmprobe.loop.ask.refusing`."""
        return refusing(self._asker)(image)

    def see(self, round: Round) -> None:
        """See `vlmprobe.loop.ask.Learns`."""
        self._waiting.append(round)

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Asked:
        """See `vlmprobe.policy.asker.Asker`."""
        while self._waiting and self._waiting[0].place.step < step - LAG:
            show_learner(self._asker, self._waiting.popleft())
        return self._asker.ask(images, k=k, group_size=group_size, seed=seed, step=step)
