"""Pictures by their names, those of the embedded world drawn again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image as PILImage

from vlmprobe.data.image import Image
from vlmprobe.data.source import ImageSource, keys_of
from vlmprobe.world.source import WorldImages

GLIMPSE = 320
"""Pixels of the longer side below which a photograph is not made smaller."""
_SCENE = re.compile(r"scene-(\d+)-(\d+)")

Find = Callable[[str], "PILImage.Image | None"]
"""A picture by its name; None where it cannot be had."""


def finder(images: ImageSource, hashes: Mapping[str, str]) -> Find:
    """Pictures by name, photographs perhaps smaller than they are. What the source has not, and is a picture of the
    embedded world, is drawn, and kept where it is the one that was asked about.

    Args:
        images: of any kind; a draw has all pictures of its source.
        hashes: name of a picture that was asked about -> hash of its pixels.
    """
    source: Any = getattr(images, "whole", images)
    places = {key: place for place, key in enumerate(keys_of(source) or ())}

    def find(key: str) -> PILImage.Image | None:
        try:
            if key not in places:
                return _drawn(key, hashes.get(key))
            glimpse = getattr(source, "glimpse", None)
            image: Image = source[places[key]] if glimpse is None else glimpse(places[key], GLIMPSE)
            return image.pixels
        except Exception:  # it was there when it was asked about
            return None

    return find


def _drawn(key: str, sha256: str | None) -> PILImage.Image | None:
    scene = _SCENE.fullmatch(key)
    if scene is None or sha256 is None:
        return None
    image = WorldImages(1, seed=int(scene[1]), first=int(scene[2]))[0]
    return image.pixels if image.sha256 == sha256 else None
