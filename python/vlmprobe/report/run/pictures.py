"""The pictures of a page, each once, as large as the page has room for."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image as PILImage

from vlmprobe.data.image import Image
from vlmprobe.data.pixels import rgb
from vlmprobe.data.source import ImageSource, keys_of
from vlmprobe.report.run.questions import Question
from vlmprobe.world.source import WorldImages

SIDES = (320, 240, 160, 112, 80)
"""Pixels of the longer side, the first that fits."""
SAMPLE = 24
"""Pictures whose sizes tell which side fits."""
_LEAST, _EACH, _MOST = 2_500_000, 350, 36_000_000
_SCENE = re.compile(r"scene-(\d+)-(\d+)")

Find = Callable[[str], "PILImage.Image | None"]
"""A picture by its name; None where it cannot be had."""


@dataclass
class Thumbnails:
    """Small pictures as data addresses, without repeats."""

    uris: list[str] = field(default_factory=list)
    place: dict[str, int] = field(default_factory=dict)
    """Name of a picture -> where it is among them."""
    side: int = SIDES[0]
    """Pixels of the longer side."""
    left_out: int = 0
    """Pictures for which there was no room."""


def room(questions: int) -> int:
    """Bytes that the pictures of a page with so many questions may take."""
    return min(_MOST, _LEAST + _EACH * questions)


def thumbnails(questions: Sequence[Question], find: Find) -> Thumbnails:
    """A thumbnail of each picture that can be had, those of failures first, within `room`."""
    keys = list(dict.fromkeys(each.key for each in sorted(questions, key=lambda each: each.wrong is not True)))
    left = room(len(questions))
    found = Thumbnails(side=_side(keys, find, left))
    for key in keys:
        image = find(key)
        if image is None:
            continue
        uri = thumbnail(image, found.side)
        if len(uri) > left:
            found.left_out += 1
            continue
        left -= len(uri)
        found.place[key] = len(found.uris)
        found.uris.append(uri)
    return found


def thumbnail(image: PILImage.Image, side: int) -> str:
    """The picture as a data address: PNG when it is as small already, else a JPEG of `side` pixels at most."""
    small = max(image.size) <= min(side, 128)
    shown = rgb(image).copy()
    shown.thumbnail((side, side))
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG" if small else "JPEG", **({"optimize": True} if small else {"quality": 80}))
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


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
            image: Image = source[places[key]] if glimpse is None else glimpse(places[key], SIDES[0])
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


def _side(keys: Sequence[str], find: Find, left: int) -> int:
    """The largest side at which all of the pictures are likely to fit."""
    step = max(1, len(keys) // SAMPLE)
    sample = [image for key in keys[::step] if (image := find(key)) is not None]
    for side in SIDES:
        mean = sum(len(thumbnail(image, side)) for image in sample) / max(1, len(sample))
        if mean * len(keys) <= left:
            return side
    return SIDES[-1]
