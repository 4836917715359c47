"""Examples of modes that were shrunk, held against the truth: are they smaller, and valid and answered wrongly still?

Pictures are cut, and neither scaled down nor blurred. So the area is the part of the original picture that is left, in
pixels, and an answerer that does not look at pixels gains nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vlmprobe._native import core
from vlmprobe.modes.cases import Case
from vlmprobe.modes.closer import texts_of
from vlmprobe.modes.mode import Mode
from vlmprobe.modes.pairs import picture_of
from vlmprobe.modes.planned import Roles
from vlmprobe.modes.shrink import Shrunk, shrink
from vlmprobe.studies.plantedbench.named import Told
from vlmprobe.world.answerers import FaultyAnswerer
from vlmprobe.world.smaller import smaller
from vlmprobe.world.source import WorldImages, scene_of

EXAMPLES = 2
"""Of each mode."""


def shrunk_of(told: Told, images: WorldImages, answerer: FaultyAnswerer, *, calls: int) -> list[dict[str, Any]]:
    """What became of the first examples of each mode.

    Args:
        told: the modes of a run.
        images: the world's pictures, of which the run asked.
        answerer: that was asked.
        calls: answerer calls at most, in equal parts for each mode.

    Returns:
        For each example `mode`, its id; `words`, `area` (pixels) and `objects`, each before and after; `question` and
        `picture` after; `failed` and `fails`, whether it is a valid question that is answered wrongly by the truth,
        before and after; `same_fault`, whether the same fault triggers it, or none before and after.
    """
    held = told.modes.holding
    roles = replace(told.roles, smaller=functools.partial(smaller, images))
    return [
        {"mode": mode.id, **_described(each, answerer)}
        for mode in held
        for each in _of_mode(mode, told, roles, calls=calls // len(held))
    ]


def fails(case: Case, answerer: FaultyAnswerer) -> bool:
    """Whether it is a valid question that is answered wrongly, by the truth."""
    judged = core.world.judge(scene_of(case.image), case.question)
    [reply] = answerer.answer([case.image], [case.question])
    return judged.valid and reply.text is not None and core.world.same_answer(reply.text, judged.answer) == 0


def _of_mode(mode: Mode, told: Told, roles: Roles, *, calls: int) -> Sequence[Shrunk]:
    begun = [(picture_of(roles.images, each.image), each.question) for each in mode.examples[:EXAMPLES]]
    cases = [Case(image, question) for image, question in begun if image is not None]
    found, _ = shrink(cases, roles, calls=calls, others=texts_of(mode, told.asked), soften=False)
    return found


def _described(found: Shrunk, answerer: FaultyAnswerer) -> dict[str, Any]:
    before, after = found.before, found.after
    failed, still = fails(before, answerer), fails(after, answerer)
    triggered = [answerer.exposure(each.image, each.question).triggered for each in (before, after)]
    return {
        "words": found.words, "area": found.pixels,
        "objects": tuple(len(scene_of(each.image).objects) for each in (before, after)),
        "question": after.question, "picture": after.image.key, "failed": failed, "fails": still,
        "same_fault": triggered[0] == triggered[1],
    }  # fmt: skip
