"""Reads a picture of the embedded world from its pixels alone, and answers questions from what it read.

Nothing here looks at a scene: objects are connected components, colors the nearest of six, places the centres of mass,
shapes the share of their bounding box that they fill, stripes the dark pixels inside. So it checks the renderer against
the programs. Clean pictures only (clutter = 0). `python tests/python/support/world_pixels.py` prints the agreement by
family.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from vlmprobe.world.render import GROUND, RGB

MARGIN = 5.0
FILL = {"star": 0.55, "cross": 0.69, "circle": 0.9, "square": 1.01}  # share of the bounding box, less than
QUERIES = ("color", "shape", "size", "texture")
EXTREMES = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}
CORNERS = {"top_left": (0, 0), "top_right": (64, 0), "bottom_left": (0, 64), "bottom_right": (64, 64)}


@dataclass(frozen=True)
class Seen:
    """An object as the pixels show it."""

    color: str
    shape: str
    size: str
    texture: str
    x: float
    y: float


def read(picture) -> list[Seen]:
    """The objects of a clean picture."""
    pixels = np.asarray(picture, dtype=np.float64)
    coverage = np.abs(pixels - GROUND).max(axis=2)
    parts, count = ndimage.label(coverage > 60, structure=np.ones((3, 3)))
    return [_describe(pixels, parts == part) for part in range(1, count + 1)]


def _describe(pixels: np.ndarray, mask: np.ndarray) -> Seen:
    bright = np.array(list(RGB.values()), dtype=np.float64)
    shades = np.concatenate([bright, bright // 3])
    distance = np.abs(pixels[mask][:, None] - shades).max(axis=2)
    nearest, clear = distance.argmin(axis=1), distance.min(axis=1) < 12
    color = np.bincount(nearest[clear] % 6, minlength=6).argmax()
    dark = (nearest[clear] >= 6).mean()
    rows, columns = np.nonzero(mask)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    fill = mask.sum() / (height * width)
    sags = (rows.mean() - (rows.min() + rows.max()) / 2) / height  # a triangle's mass lies low: 0.3 / 1.8 of its height
    return Seen(
        color=list(RGB)[color],
        shape="triangle" if sags > 0.105 else next(shape for shape, most in FILL.items() if fill < most),
        size="large" if max(height, width) > 14 else "small",
        texture="striped" if dark > 0.2 else "plain",
        x=columns.mean() + 0.5,
        y=rows.mean() + 0.5,
    )


def answer(seen: list[Seen], program: str) -> str:
    """What `program`, as `str(program)` writes it, gives on the objects seen; "?" where they leave it open."""
    family, inside = re.fullmatch(r"(\w+)\((.*)\)", program).groups()
    parts = inside.split("; ") if inside else []
    direction = parts.pop(0) if parts and parts[0] in (*EXTREMES, *CORNERS) else ""
    queried = parts.pop(0) if parts and parts[0] in QUERIES else ""
    number = bool(parts) and parts[0] == "number"
    a, b = [*parts[number:], "object", "object"][:2]
    if family in ("count_all", "count", "exist", "negation"):
        kept = [o for o in seen if fits(o, a) and not (family == "negation" and fits(o, b.removeprefix("not ")))]
        return said(len(kept), family.startswith("count") or number)
    if family == "compare":
        return said(sum(fits(o, a) for o in seen) > sum(fits(o, b) for o in seen), False)
    if family in QUERIES:
        return getattr(one(seen, a), family, "?")
    if family in ("extreme", "corner", "nearest"):
        return getattr(_singled_out(seen, family, direction, a), queried, "?")
    if family == "same":
        return said(getattr(one(seen, a), queried, 0) == getattr(one(seen, b), queried, 1), False)
    reference = one(seen, b)
    others = [one(seen, a)] if family == "relation" else [o for o in seen if fits(o, a) and o != reference]
    if reference is None or None in others:
        return "?"
    x, y = EXTREMES[direction]
    return said(sum(x * (o.x - reference.x) + y * (o.y - reference.y) > 0 for o in others), number)


def fits(seen: Seen, description: str) -> bool:
    """Whether every word of the description holds; "object" always does."""
    words = (seen.color, seen.shape, seen.size, seen.texture, "object")
    return all(word in words for word in description.split())


def one(seen: list[Seen], description: str) -> Seen | None:
    """The only object that fits."""
    found = [o for o in seen if fits(o, description)]
    return found[0] if len(found) == 1 else None


def said(number: int, wants_number: bool) -> str:
    return str(number) if wants_number else "yes" if number else "no"


def _singled_out(seen: list[Seen], family: str, direction: str, a: str) -> Seen | None:
    if family == "extreme":
        x, y = EXTREMES[direction]
        return max(seen, key=lambda o: x * o.x + y * o.y)
    reference = one(seen, a) if family == "nearest" else None
    if family == "nearest" and reference is None:
        return None
    at = CORNERS[direction] if family == "corner" else (reference.x, reference.y)
    return min((o for o in seen if o != reference), key=lambda o: math.dist(at, (o.x, o.y)), default=None)


def agreement(pictures, families, sample) -> dict[str, tuple[int, int]]:
    """Per family: (questions whose answer the pixels give, questions); `sample(scene, family, i)` asks, or is None."""
    score = {family: [0, 0] for family in families}
    for i, image in enumerate(pictures):
        seen = read(image.pixels)
        for family in families:
            question = sample(image.meta, family, i)
            if question is not None:
                score[family][0] += answer(seen, str(question.program)) == question.answer
                score[family][1] += 1
    return {family: (right, n) for family, (right, n) in score.items()}


def ask(scene, family, index):
    """A valid question of the family about the scene, None where there is none."""
    from vlmprobe._native import core

    try:
        return core.world.sample_question_of(scene, getattr(core.world.Family, family), 9, index)
    except RuntimeError:
        return None


if __name__ == "__main__":
    from vlmprobe._native import core
    from vlmprobe.world.source import WorldImages

    clean = WorldImages(2000, seed=5, clutter=0)
    for name, (right, n) in agreement(clean, core.world.families, ask).items():
        print(f"{name:10} {right:5} of {n:5}  {right / n:.4f}")
    whole = [len(read(image.pixels)) == len(image.meta.objects) for image in clean]
    print(f"{'objects':10} {sum(whole):5} of {len(whole):5}  {sum(whole) / len(whole):.4f}")
