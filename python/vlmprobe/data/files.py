"""Picture files: which names are pictures, and how a file that may hold anything is opened."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import UnidentifiedImageError

from vlmprobe.data.leniency import as_it_is
from vlmprobe.data.pixels import rgb

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""What a file may be, whatever its name says, as Pillow names it: none of these starts another program."""
MAX_PIXELS = 120_000_000

_OTHERS = {"__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "recycler", "lost+found", "@tmp"} | {
    "system volume information"
}
_ORIENTATION = 0x0112
_TURNS = {
    2: PILImage.Transpose.FLIP_LEFT_RIGHT,
    3: PILImage.Transpose.ROTATE_180,
    4: PILImage.Transpose.FLIP_TOP_BOTTOM,
    5: PILImage.Transpose.TRANSPOSE,
    6: PILImage.Transpose.ROTATE_270,
    7: PILImage.Transpose.TRANSVERSE,
    8: PILImage.Transpose.ROTATE_90,
}


def picture_files(root: Path, extensions: Collection[str]) -> dict[str, Path]:
    """Key to file of the pictures below a folder, in the order of the keys.

    Hidden files and folders are none, nor is what systems keep beside pictures: resource forks, thumbnails, bins,
    editors' locks. Links to folders are not followed.

    Raises:
        OSError: a folder that cannot be listed.
    """
    found = {}
    for folder, folders, names in os.walk(root, onerror=_raise):
        folders[:] = [name for name in folders if not _of_the_system(name)]
        for name in names:
            file = Path(folder, name)
            if file.suffix.lower() in extensions and not _of_the_system(name) and file.is_file():
                key = os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")
                found[key] = file
    return {key: found[key] for key in sorted(found)}


def _of_the_system(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in _OTHERS


def _raise(error: OSError) -> None:
    raise error


def read_picture(
    file: Path | bytes, *, formats: Sequence[str] = FORMATS, max_pixels: int = MAX_PIXELS, small: int | None = None
) -> PILImage.Image:
    """The first picture of a file as RGB (`vlmprobe.data.rgb`), turned as its orientation says, without metadata.

    An orientation that damaged metadata hides is 1. A file that is cut short is an error, whatever
    `PIL.ImageFile.LOAD_TRUNCATED_IMAGES` says. Several threads may read at once.

    Args:
        file: a path, or what a file holds.
        formats: what it may be, whatever its name says, as Pillow names it.
        max_pixels: a picture whose head says more is not read.
        small: pixels; a JPEG is read to its end but decoded at an eighth of its size at the least, as long as both
            sides keep this many. For hashing and for finding damage, not for showing.

    Raises:
        ValueError: none of the formats, no pixel, or more of them than `max_pixels`, as the file's head says.
        Exception: whatever a decoder raises.
    """
    if not _length(file):
        raise ValueError("it is empty")
    with as_it_is():
        known = tuple(name for name in formats if name in PILImage.OPEN)
        with _opened(file, known) as opened:
            width, height = opened.size
            if not 0 < width * height <= max_pixels:
                raise ValueError(f"expected 1 to {max_pixels} pixels, got {width} x {height}")
            deep = _has_deep_colours(opened)
            if small is not None:
                opened.draft(None, (small, small))
            opened.load()
            if opened.format in ("JPEG", "MPO") and _ends_in_zeros(file):
                raise ValueError("its end was never written: it is zeros")
            if deep and _brightest(opened) < 16:
                raise ValueError("its colours of 16 bits are all below 4096 of 65535 and would be shown black")
            turn = _TURNS.get(_orientation(opened))
            picture = opened.copy() if turn is None else opened.transpose(turn)
            pixels = _shown(opened, picture)
    pixels.info.clear()  # a profile or an orientation of the file is none of the pixels that are sent
    return pixels


def _length(file: Path | bytes) -> int:
    return len(file) if isinstance(file, bytes) else file.stat().st_size


def _opened(file: Path | bytes, formats: tuple[str, ...]) -> PILImage.Image:
    try:
        return PILImage.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=formats)
    except UnidentifiedImageError:
        raise ValueError(f"it is none of {', '.join(formats)}, or of a rare kind that Pillow does not read") from None


def _ends_in_zeros(file: Path | bytes) -> bool:
    """Whether a JPEG's place on the disk was kept but not filled, as after a broken download: libjpeg shows grey."""
    if isinstance(file, bytes):
        end = file[-64:]
    else:
        with file.open("rb") as opened:
            opened.seek(-min(64, file.stat().st_size), os.SEEK_END)
            end = opened.read()
    if end.strip(b"\0"):
        return False
    whole = file if isinstance(file, bytes) else file.read_bytes()
    return not whole.rstrip(b"\0").endswith(b"\xff\xd9")


def _has_deep_colours(opened: Any) -> bool:
    """Whether it has colours of 16 bits, of which Pillow keeps the upper 8."""
    modes = [str(argument) for tile in opened.tile for argument in _flat(tile[3])]
    return opened.mode in ("LA", "RGB", "RGBA") and any(";16" in mode for mode in modes)


def _brightest(opened: PILImage.Image) -> float:
    """The greatest value of a colour."""
    colours = [band for name, band in zip(opened.getbands(), opened.split(), strict=True) if name != "A"]
    return max(float(band.getextrema()[1]) for band in colours)  # type: ignore[arg-type]


def _flat(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)


def _shown(opened: Any, picture: PILImage.Image) -> PILImage.Image:
    """As RGB, with what Pillow passes over in a TIFF: unsigned numbers of 32 bits, signed ones of 8, and deep grey in
    which zero is white."""
    tags, absent = getattr(opened, "tag_v2", {}), _absent(opened)
    signed, deep = tags.get(339, (1,)) == (2,), picture.mode == "F" or picture.mode.startswith("I")
    if picture.mode == "I" and not signed and picture.getextrema()[0] < 0:  # type: ignore[operator]
        picture = PILImage.fromarray(np.asarray(picture).view(np.uint32).astype(np.float32))
    if picture.mode == "L" and signed:
        picture = PILImage.fromarray(np.asarray(picture).view(np.int8).astype(np.float32))
    if deep and tags.get(262) == 0:
        picture = PILImage.fromarray(-np.asarray(picture).astype(np.float32))
        absent = None if absent is None else -absent
    return rgb(picture, absent=absent)


def _absent(opened: Any) -> float | None:
    """The value of a TIFF's pixels that stands for none (GDAL_NODATA)."""
    with suppress(Exception):
        return float(opened.tag_v2[42113].strip("\0 "))
    return None


def _orientation(opened: Any) -> int:
    """1 .. 8 as Pillow reads it, else as the block's first directory or the XMP says it, else 1."""
    readers: tuple[Callable[[Any], object], ...] = (_by_pillow, _by_hand, _by_xmp)
    for read in readers:
        with suppress(Exception):
            value: Any = _flat(read(opened))[0]
            if int(value) in range(1, 9):
                return int(value)
    return 1


def _by_pillow(opened: Any) -> object:
    return opened.getexif()[_ORIENTATION]


def _by_hand(opened: Any) -> object:
    block = opened.info["exif"]
    block = block[re.search(rb"II\*\0|MM\0\*", block).start() :]  # type: ignore[union-attr]
    order = "<" if block[:2] == b"II" else ">"
    at = struct.unpack_from(f"{order}I", block, 4)[0]
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from(f"{order}H", block, at)[0], 12):
        tag, kind = struct.unpack_from(f"{order}HH", block, entry)
        if tag == _ORIENTATION:
            return struct.unpack_from(f"{order}{'I' if kind in (4, 9) else 'H'}", block, entry + 8)[0]
    return None


def _by_xmp(opened: Any) -> object:
    text = opened.info.get("xmp") or opened.info["XML:com.adobe.xmp"]
    data = text if isinstance(text, bytes) else text.encode()
    return int(re.search(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])", data)[1])  # type: ignore[index]
