"""Fine-tunes an answerer of the world on a set of `vlmprobe export --train`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from vlmprobe._util.json import read_lines
from vlmprobe.world import lessons, tiny
from vlmprobe.world.lessons import Batch, Lesson
from vlmprobe.world.source import scene_named
from vlmprobe.world.teaching import Progress, save, teach

PICTURES = 16
"""Of a step."""
LESSONS = 8
"""About a picture in a step, at most."""


def read_set(file: str | Path) -> dict[str, list[tuple[str, str]]]:
    """Name of a picture -> questions about it with right answers.

    Raises:
        ValueError: a line that is none of `vlmprobe export --train`.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for where, row in read_lines("repair", file):
        try:
            asked, said = (message["content"][-1]["text"] for message in row["messages"])
            found.setdefault(row["key"], []).append((asked, said))
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise ValueError(f"[repair] {where}: expected messages and a key, got {error!s:.60}") from None
    return found


def fine_tune(
    name: str, taught: Mapping[str, Sequence[tuple[str, str]]], out: Path, *, steps: int, rate: float, seed: int = 0
) -> None:
    """Teaches an answerer the questions of a set, and saves it.

    Args:
        name: of the answerer, one of `tiny.MODELS`.
        taught: by the name of their picture.
        out: folder of the new one; its log and checkpoint are in its parent.
        steps, rate: supervised steps and the learning rate at their peak.
        seed: of which questions a step has.
    """
    torch.manual_seed(seed)
    processor, model = tiny.processor(), tiny.load_to_teach(tiny.WEIGHTS / name)
    keys = sorted(taught)

    def batch(step: int) -> Batch:
        chance = random.Random(f"{seed} {step}")
        some = chance.sample(keys, min(PICTURES, len(keys)))
        own = [_lessons(chance.sample(list(taught[key]), min(LESSONS, len(taught[key])))) for key in some]
        return lessons.collate(processor, [scene_named(key) for key in some], own)

    report = Progress(out.parent / f"{out.name}.log")
    teach(model, batch, steps, rate, out.parent, report, out.name)
    save(model, processor, out)


def _lessons(pairs: Sequence[tuple[str, str]]) -> list[Lesson]:
    return [Lesson(lessons.encode(question), lessons.encode(answer)) for question, answer in pairs]


def answerer(folder: str | Path) -> Any:
    """The answerer that was saved in a folder."""
    from vlmprobe.vlm.answerer import HFAnswerer

    place = Path(folder)
    return HFAnswerer(tiny.load(place.name, place.parent))
