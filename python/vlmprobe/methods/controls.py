"""Controls in the embedded world: what a method has to beat.

Both draw from the world's grammar, so every question is valid. They know nothing of the answerer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from vlmprobe._checks import check_count
from vlmprobe._native import core
from vlmprobe.asked import Completions, tagged
from vlmprobe.models.protocols import Picture
from vlmprobe.world.source import scene_of

TRIES = 64  # draws for a question of a family, or one that is not a repetition


class RandomValid:
    """Valid questions drawn as the world draws them; no question twice in a completion."""

    identity = "random valid"

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.asked.Asker`. Pictures must be the world's."""
        check_count("RandomValid.ask", "k", k)
        return Completions.of(
            [
                [tagged(_different(_drawn(image, seed, step, member), k)) for member in range(group_size)]
                for image in images
            ]
        )


class Sweep:
    """Goes through the families of questions in turn, one after the other, as a benchmark of templates would.

    A picture in which a family has nothing to ask about gets the next draw instead.
    """

    identity = "template sweep"

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.asked.Asker`. Pictures must be the world's."""
        check_count("Sweep.ask", "k", k)
        families = core.world.families
        said, turn = [], step * len(images) * group_size * k
        for image in images:
            texts = []
            for member in range(group_size):
                drawn = _drawn(image, seed, step, member)
                questions = [_of_family(drawn, families[(turn + slot) % len(families)]) for slot in range(k)]
                texts.append(tagged(questions))
                turn += k
            said.append(texts)
        return Completions.of(said)


def _drawn(image: Picture, seed: int, step: int, member: int) -> Iterator[core.world.Sample]:
    scene, first = scene_of(image), (step * 64 + member) * 256
    for part in itertools.count(first):
        yield core.world.sample_question(scene, seed, image.id, part)


def _different(drawn: Iterator[core.world.Sample], k: int) -> list[str]:
    """k questions; none twice unless the picture has no more."""
    found: dict[str, None] = {}
    for _ in range(TRIES * k):
        found.setdefault(next(drawn).question)
        if len(found) == k:
            break
    return list(found)


def _of_family(drawn: Iterator[core.world.Sample], family: str) -> str:
    sample = next(drawn)
    for _ in range(TRIES):
        if sample.program.family == family:
            break
        sample = next(drawn)
    return sample.question
