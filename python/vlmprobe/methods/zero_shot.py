"""Zero-shot: whoever asks, as they are. Nothing is trained, and nothing is known of the answerer."""

from __future__ import annotations

from dataclasses import dataclass

from vlmprobe.methods.task import Task, ask_pool
from vlmprobe.policy.asker import Asker


@dataclass(frozen=True, kw_only=True)
class ZeroShot:
    """The method.

    Args:
        asker: a `Questioner` as loaded, a `ChatAsker`, or any other.

    Example:
        >>> ZeroShot(asker=Questioner(world.tiny.load("questioner"))).run(task)  # doctest: +SKIP
    """

    asker: Asker
    name: str = "zero-shot"

    def run(self, task: Task) -> Asker:
        """See `vlmprobe.methods.task.Method`."""
        return ask_pool(self.asker, task, name=self.name)
