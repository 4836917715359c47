"""A control in the embedded world: valid questions at random. It knows nothing of the answerer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from vlmprobe._native import core
from vlmprobe._util.checks import check_count
from vlmprobe.methods.task import Task, ask_pool
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import Asker, Completions, tagged
from vlmprobe.world.source import scene_of

TRIES = 64  # draws for a question that is not a repetition


class RandomValid:
    """Valid questions drawn as the world draws them; no question twice in a completion. Asker and method."""

    identity = name = "random valid"

    def run(self, task: Task) -> Asker:
        """See `vlmprobe.methods.task.Method`."""
        return ask_pool(self, task, name=self.name)

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.policy.asker.Asker`. Pictures must be the world's."""
        check_count("RandomValid.ask", "k", k)
        return Completions.of(
            [
                [tagged(_different(_drawn(image, seed, step, member), k)) for member in range(group_size)]
                for image in images
            ]
        )


def _drawn(image: Picture, seed: int, step: int, member: int) -> Iterator[str]:
    scene = scene_of(image)
    for part in itertools.count((step * 64 + member) * 256):
        yield core.world.sample_question(scene, seed, image.id, part).question


def _different(drawn: Iterator[str], k: int) -> list[str]:
    """k questions; none twice unless the picture has no more."""
    found = dict.fromkeys(itertools.islice(drawn, k))
    for question in itertools.islice(drawn, TRIES * k - k):
        if len(found) == k:
            break
        found.setdefault(question)
    return list(found)
