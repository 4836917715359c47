"""Smaller pictures of which the truth is known: fewer objects, and a frame around what is left.

A scene is drawn object by object, so a scene with only the first of them is one of which the world knows the truth as
it does of any other. A frame is the smallest upright rectangle that shows all objects whole. What is true of a scene is
true inside its frame, but for a question about a corner of the picture, because the frame has other corners.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from vlmprobe._native import core
from vlmprobe.data.image import Image
from vlmprobe.world.source import WorldImages, scene_of

REACH = 1.08
"""Radii from the centre of an object to its outermost pixel, at most: a star's."""


def smaller(images: WorldImages, image: Image, question: str) -> Iterator[Image]:
    """What a picture may be cut to with a question about it: every number of objects that is not larger than its own,
    framed where the question allows for it; the smallest number first.

    Args:
        images: the source that the picture is of.
        image: a picture of it, or one that came of this function.
        question: about it.

    Raises:
        ValueError: the picture is of another source.
    """
    scene = scene_of(image)
    if image.id >= len(images) or scene_of(images[image.id]).id != scene.id:
        raise ValueError(f"[smaller] image: expected a picture of {images!r}, got {image!r}")
    count = len(scene.objects)
    for left in range(1, count + 1):
        part = images.first_objects(image.id, left)
        judged = core.world.judge(scene_of(part), question)
        if judged.program is not None and judged.program.family != "corner":
            part = framed(part)
        if part.pixels.size != image.pixels.size or left < count:
            yield part


def framed(image: Image) -> Image:
    """A picture of the world, whole, cut to the frame around its objects."""
    objects = scene_of(image).objects
    left, top = (min(getattr(each, axis) - REACH * each.radius for each in objects) for axis in "xy")
    right, bottom = (max(getattr(each, axis) + REACH * each.radius for each in objects) for axis in "xy")
    width, height = image.pixels.size
    box = (
        max(0, math.floor(left)),
        max(0, math.floor(top)),
        min(width, math.ceil(right)),
        min(height, math.ceil(bottom)),
    )
    return replace(image, key=f"{image.key} [frame]", pixels=image.pixels.crop(box))
