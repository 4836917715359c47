"""A control in the embedded world: a sweep of question templates. It knows nothing of the answerer."""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe._native import core
from vlmprobe._util.checks import check_count
from vlmprobe.methods.task import Task, ask_pool
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import Asker, Completions, tagged
from vlmprobe.world.source import scene_of

TRIES = 64  # draws for a question of a family


class Sweep:
    """Goes through the families of questions in turn, one after the other, as a benchmark of templates would; objects,
    attributes and phrasing are drawn. Asker and method.

    A picture in which a family has nothing to ask about gets the next draw instead.
    """

    identity = name = "template sweep"

    def run(self, task: Task) -> Asker:
        """See `vlmprobe.methods.task.Method`."""
        return ask_pool(self, task, name=self.name)

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.policy.asker.Asker`. Pictures must be the world's."""
        check_count("Sweep.ask", "k", k)
        families = core.world.families
        said, turn = [], step * len(images) * group_size * k
        for image in images:
            texts = []
            for member in range(group_size):
                part = (step * 64 + member) * 256
                questions = [
                    _of_family(image, families[(turn + slot) % len(families)], seed, part + slot * TRIES)
                    for slot in range(k)
                ]
                texts.append(tagged(questions))
                turn += k
            said.append(texts)
        return Completions.of(said)


def _of_family(image: Picture, family: str, seed: int, first: int) -> str:
    scene = scene_of(image)
    drawn = [core.world.sample_question(scene, seed, image.id, first)]
    while drawn[-1].program.family != family and len(drawn) < TRIES:
        drawn.append(core.world.sample_question(scene, seed, image.id, first + len(drawn)))
    return (drawn[-1] if drawn[-1].program.family == family else drawn[0]).question
