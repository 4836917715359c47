"""A first look at pictures, in threads: whether each can be read, and what it looks like, in a few bytes.

A look reads a picture's file to its end, a JPEG at an eighth of its size. What was found can be kept in a file, so that
a picture whose file is as it was is not looked at again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from vlmprobe._util.files import write_text
from vlmprobe.data.image import Image, SourceGone, reason_of
from vlmprobe.data.source import ImageSource, keys_of

SIDE = 128  # pixels that are enough for a look
GRID = 4  # the colours of a picture are those of GRID x GRID places
CHUNK = 256  # pictures that are looked at together


@dataclass(frozen=True)
class Look:
    """What a first look at a picture found."""

    reason: str = ""
    """Why it cannot be read, in words that name it; empty where it can."""
    phash: int = 0
    """64 bits of its shapes: the signs of its lowest frequencies (`imagehash.phash`)."""
    colours: bytes = b""
    """GRID x GRID x RGB."""


@dataclass
class Looks:
    """What was found about pictures, by their keys; with a file, also by an earlier call.

    A file that cannot be read or written does nothing but cost time.
    """

    file: Path | None = None
    known: dict[str, tuple[str, Look]] = field(default_factory=dict)
    """Key -> stamp of the picture's file, and what was found."""

    @staticmethod
    def kept_in(file: str | Path | None) -> Looks:
        """Those of the file, where there is one."""
        found = Looks(None if file is None else Path(file))
        if found.file is not None:
            with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                found.known = {key: _read(*row) for key, row in json.loads(found.file.read_bytes())["looks"].items()}
        return found

    def of(self, images: ImageSource, indices: Sequence[int]) -> list[Look]:
        """A look at each of these pictures.

        Raises:
            SourceGone: none can be read, for a cause that is none of theirs.
        """
        keys = keys_or_numbers(images)
        threads = ThreadPoolExecutor(getattr(images, "readers", 1))
        try:
            return list(threads.map(lambda index: self._one(images, index, keys[index]), indices))
        finally:
            threads.shutdown(cancel_futures=True)  # whoever interrupts does not wait for the others

    def save(self) -> None:
        """Writes the file, where there is to be one."""
        if self.file is not None:
            rows = {key: [*_written(stamp, look)] for key, (stamp, look) in sorted(self.known.items())}
            with suppress(OSError):
                write_text(self.file, json.dumps({"looks": rows}, separators=(",", ":")) + "\n")

    def _one(self, images: ImageSource, index: int, key: str) -> Look:
        stamped = getattr(images, "stamp", None)
        stamp = stamped(index) if stamped else ""
        if stamp and self.known.get(key, ("",))[0] == stamp:
            return self.known[key][1]
        look = look_at(images, index, key)
        stamp = stamped(index) if stamped else ""  # a download has one by now
        if stamp:
            self.known[key] = stamp, look
        return look


def look_at(images: ImageSource, index: int, key: str) -> Look:
    """Reads a picture once, as cheaply as its source can.

    Raises:
        SourceGone: none can be read, for a cause that is none of theirs.
    """
    import imagehash

    glimpse: Any = getattr(images, "glimpse", None)
    try:
        image: Image = images[index] if glimpse is None else glimpse(index, SIDE)
        pixels = image.pixels
        factor = min(pixels.size) // SIDE
        if factor > 1:
            pixels = pixels.reduce(factor)
        bits = imagehash.phash(pixels).hash.ravel()
        colours = pixels.resize((GRID, GRID), PILImage.Resampling.BOX).tobytes()
        return Look(phash=int.from_bytes(np.packbits(bits).tobytes(), "big"), colours=colours)
    except SourceGone:
        raise
    except Exception as error:  # whatever a decoder raises
        return Look(reason=reason_of(key, error))


def keys_or_numbers(images: ImageSource) -> Sequence[str]:
    """The names of a source's images; `image 17` where it knows none."""
    keys = keys_of(images)
    return [f"image {index}" for index in range(len(images))] if keys is None else keys


class Alike:
    """Pictures that were seen, and which of them a further one looks like.

    Two are near-duplicates where at most `distance` of 64 bits of their shapes are others, and no place of GRID x GRID
    has a colour that differs by more than `COLOUR` of 255. The second rule keeps apart what has few shapes: plain
    pictures, drawings on white, a picture and the same one in grey.

    Args:
        distance: 0 to 64.
    """

    COLOUR = 24

    def __init__(self, distance: int = 4) -> None:
        if isinstance(distance, bool) or not isinstance(distance, int) or not 0 <= distance <= 64:
            raise ValueError(f"[near_duplicates] distance: expected 0 to 64 bits, got {distance!r:.60}")
        self._distance = distance
        self._numbers: list[int] = []
        self._phashes = np.empty(64, dtype=np.uint64)
        self._colours = np.empty((64, 3 * GRID * GRID), dtype=np.int16)

    def add(self, number: int, look: Look) -> int | None:
        """The first of those seen that it looks like; without one, None, and it is among them from now on."""
        count = len(self._numbers)
        colours = np.frombuffer(look.colours, dtype=np.uint8).astype(np.int16)
        apart = _bits(self._phashes[:count] ^ np.uint64(look.phash))
        near = np.flatnonzero(apart <= self._distance)
        near = near[np.abs(self._colours[near] - colours).max(axis=1, initial=0) <= self.COLOUR]
        if len(near):
            return self._numbers[near[0]]
        if count == len(self._phashes):
            self._phashes = np.resize(self._phashes, 2 * count)
            self._colours = np.resize(self._colours, (2 * count, self._colours.shape[1]))
        self._phashes[count], self._colours[count] = look.phash, colours
        self._numbers.append(number)
        return None


def near_duplicates(images: ImageSource, *, distance: int = 4) -> dict[int, int]:
    """Which pictures look like an earlier one: the same photograph in another size, format or quality.

    Each is compared with the earlier ones that are no near-duplicates themselves. A picture that cannot be read is
    none. 1,000 photographs take some seconds.

    Args:
        images: of any kind; those of this package are read in threads, others one after the other.
        distance: bits of 64 that may differ, 0 to 64.

    Returns:
        Number of the picture -> number of the earlier one.

    Raises:
        ValueError: a distance outside 0 to 64.
        SourceGone: none can be read, for a cause that is none of theirs.

    Example:
        >>> near_duplicates(FolderImages("photos"))  # doctest: +SKIP
        {7: 2}
    """
    alike, looks, found = Alike(distance), Looks(), {}
    for indices in chunks(range(len(images))):
        for index, look in zip(indices, looks.of(images, indices), strict=True):
            earlier = None if look.reason else alike.add(index, look)
            if earlier is not None:
                found[index] = earlier
    return found


def chunks(indices: Iterable[int]) -> Iterable[list[int]]:
    """CHUNK at a time."""
    some: list[int] = []
    for index in indices:
        some.append(index)
        if len(some) == CHUNK:
            yield some
            some = []
    if some:
        yield some


_COUNT = np.array([bin(value).count("1") for value in range(1 << 16)], dtype=np.uint8)


def _bits(values: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, Any]:
    """[n] how many bits of each are set."""
    return _COUNT[np.ascontiguousarray(values).view(np.uint16)].reshape(len(values), 4).sum(axis=1, dtype=np.uint8)


def _written(stamp: str, look: Look) -> list[str]:
    return [stamp, f"{look.phash:016x}", base64.b64encode(look.colours).decode(), look.reason]


def _read(stamp: str, phash: str, colours: str, reason: str) -> tuple[str, Look]:
    look = Look(str(reason), int(phash, 16), base64.b64decode(colours))
    if look.phash >> 64 or (not reason and len(look.colours) != 3 * GRID * GRID):
        raise ValueError("no look")
    return str(stamp), look


def counted(reasons: Mapping[int, str] | Sequence[str], shown: int = 3) -> str:
    """The first few, and how many more there are."""
    said = list(reasons.values()) if isinstance(reasons, Mapping) else list(reasons)
    more = [f"and {len(said) - shown} more"] if len(said) > shown else []
    return "; ".join([*said[:shown], *more])
