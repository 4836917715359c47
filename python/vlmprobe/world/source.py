"""Pictures of the world as an image source: a fixed pool that is revisited over epochs."""

from __future__ import annotations

import operator
import re
from functools import lru_cache

from vlmprobe._native import core
from vlmprobe.data.image import Image
from vlmprobe.models.protocols import Picture
from vlmprobe.world.render import render

POOL_SEED, HELD_OUT_SEED = 11, 22  # of runs and evaluations; none was seen when the world's models were built

CLUTTER = 0.75
"""Usual share of scenes with overlap, bands and noise."""


class WorldImages:
    """`count` scenes of one seed, drawn when asked for; `image.meta` is the scene.

    Args:
        count: number of pictures, at least 1.
        seed: pools of different seeds share no scene; 0 to 2**64 - 1.
        first: index of the first scene, to cut disjoint pools out of one seed; first + count is at most 2**32.
        clutter: share of scenes with overlap, bands and noise, in [0, 1].

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> WorldImages(4, seed=7)[0]
        Image(id=0, key='scene-7-0', 64 x 64)
    """

    def __init__(self, count: int, *, seed: int = 0, first: int = 0, clutter: float = CLUTTER):
        count, seed, first = operator.index(count), operator.index(seed), operator.index(first)
        if count < 1:
            raise ValueError(f"[WorldImages] count: expected at least 1, got {count}")
        if not 0 <= seed < 2**64:
            raise ValueError(f"[WorldImages] seed: expected 0 to 2**64 - 1, got {seed}")
        if not 0 <= first <= 2**32 - count:
            raise ValueError(f"[WorldImages] first: expected 0 to 2**32 - count = {2**32 - count}, got {first}")
        self._count, self._seed, self._first, self._clutter = count, seed, first, clutter
        self._draw = lru_cache(maxsize=4096)(self._make)
        self._make(0)  # a bad share shows now

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"WorldImages({self._count} pictures, seed={self._seed}, first={self._first})"

    def __getitem__(self, index: int, /) -> Image:
        if not 0 <= index < self._count:
            raise IndexError(f"[WorldImages] index must be in [0, {self._count}), got {index}")
        return self._draw(index)

    def first_objects(self, index: int, count: int) -> Image:
        """A picture with only so many of its objects, those that were drawn first; the rest of it is the same.

        Raises:
            ValueError: not 1 to as many objects as it has.
        """
        whole = self[index]
        most = len(scene_of(whole).objects)
        if not 1 <= count <= most:
            raise ValueError(f"[WorldImages] count: expected 1 to {most} objects, got {count}")
        at = self._first + index
        scene = core.world.sample_scene(self._seed, at, min_objects=count, max_objects=count, clutter=self._clutter)
        return Image(index, f"{whole.key} [{count} of {most} objects]", render(scene), meta=scene)

    def _make(self, index: int) -> Image:
        at = self._first + index
        scene = core.world.sample_scene(self._seed, at, clutter=self._clutter)
        return Image(index, f"scene-{self._seed}-{at}", render(scene), meta=scene)


def scene_named(key: str) -> core.world.Scene:
    """The scene of a picture by its name, as `WorldImages` gives it, with the usual clutter.

    Raises:
        ValueError: not such a name.
    """
    found = re.fullmatch(r"scene-([0-9]{1,20})-([0-9]{1,10})", key)
    if found is None or int(found[1]) >= 2**64 or int(found[2]) >= 2**32:
        raise ValueError(f"[scene_named] key: expected the name of a picture of the embedded world, got {key!r:.60}")
    return core.world.sample_scene(int(found[1]), int(found[2]), clutter=CLUTTER)


def scene_of(image: Picture) -> core.world.Scene:
    """The scene of a world picture.

    Raises:
        ValueError: the image is not of the world, so nobody knows the truth about it.
    """
    if not isinstance(image.meta, core.world.Scene):
        raise ValueError(f"[scene_of] image: expected a picture of the embedded world, got {image!r}")
    return image.meta
