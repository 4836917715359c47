"""The pictures of a page, each once, as large as the page has room for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vlmprobe.data.thumbnail import thumbnail
from vlmprobe.report.run.questions import Question
from vlmprobe.world.finding import GLIMPSE, Find

SIDES = (GLIMPSE, 240, 160, 112, 80)
"""Pixels of the longer side, the first that fits."""
SAMPLE = 24
"""Pictures whose sizes tell which side fits."""
_LEAST, _EACH, _MOST = 2_500_000, 350, 36_000_000


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


def _side(keys: Sequence[str], find: Find, left: int) -> int:
    """The largest side at which all of the pictures are likely to fit."""
    step = max(1, len(keys) // SAMPLE)
    sample = [image for key in keys[::step] if (image := find(key)) is not None]
    for side in SIDES:
        mean = sum(len(thumbnail(image, side)) for image in sample) / max(1, len(sample))
        if mean * len(keys) <= left:
            return side
    return SIDES[-1]
