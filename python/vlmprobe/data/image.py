"""One image, and what is raised where there should be one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from PIL import Image as PILImage


class UnreadableImage(ValueError):
    """A picture that cannot be read: damaged, missing, or of no known format. The message names it."""


class SourceGone(RuntimeError):
    """No picture of a source can be read now, for a cause that is none of theirs, such as a drive that is not there."""


def reason_of(key: str, error: Exception) -> str:
    """Why a picture cannot be read, in words that name it."""
    said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return said if key in said else f"{key}: {said}"


@dataclass(frozen=True)
class Image:
    """An image of a source. Equal when id and key are; the pixels are not compared.

    Raises:
        ValueError: pixels that are not an RGB picture, or none; a negative id.

    Example:
        >>> Image(0, "red.png", PILImage.new("RGB", (64, 48), "red"))
        Image(id=0, key='red.png', 64 x 48)
    """

    id: int
    """Number of the image in its source, from 0; the key of its memory bank."""
    key: str
    """Name of the image in its source, such as the path inside a folder."""
    pixels: PILImage.Image = field(compare=False)
    """RGB picture; not to be changed in place."""
    meta: object | None = field(default=None, compare=False)
    """What the source knows besides, such as the scene of a rendered image."""

    def __post_init__(self) -> None:
        if self.id < 0:
            raise ValueError(f"[Image] id must be at least 0, got {self.id}")
        if not isinstance(self.pixels, PILImage.Image):
            raise ValueError(f"[Image] pixels: expected a PIL image, got {type(self.pixels).__name__}")
        if self.pixels.mode != "RGB":
            raise ValueError(f"[Image] pixels: expected mode RGB, got {self.pixels.mode}")
        if not min(self.pixels.size):
            width, height = self.pixels.size
            raise ValueError(f"[Image] pixels: expected at least 1 x 1, got {width} x {height}")

    def __repr__(self) -> str:
        width, height = self.pixels.size
        return f"Image(id={self.id}, key={self.key!r}, {width} x {height})"

    @cached_property
    def sha256(self) -> str:
        """Hash of size and decoded pixels, computed when first asked for: the same picture in another file format or
        under another name has the same hash."""
        width, height = self.pixels.size
        return hashlib.sha256(f"RGB {width}x{height}\n".encode() + self.pixels.tobytes()).hexdigest()
