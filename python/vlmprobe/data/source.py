"""Image sources: any object with a length and numbered images will do; a folder of files is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image as PILImage
from PIL import ImageOps

from vlmprobe.data.image import Image

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@runtime_checkable
class ImageSource(Protocol):
    """Numbered images. `source[i]` has id i, and is the same picture every time it is asked for."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, index: int, /) -> Image:
        """Image `index` of 0 .. len-1; IndexError outside."""


class FolderImages:
    """The images below a folder, sub-folders included, in the order of their paths; read when asked for.

    The key is the path inside the folder, with forward slashes; sorting is by that text, the same on every machine.
    Pictures come as RGB, turned as their EXIF orientation says, transparency over white, the first frame of several.

    Args:
        path: the folder. Links to folders are not followed.
        extensions: file names that count, whatever their case.
    Raises:
        ValueError: no such folder; no image in it; when an image is asked for, a file that cannot be read (names it).

    Example:
        >>> images = FolderImages("photos", extensions=(".png",))  # doctest: +SKIP
        >>> images[0]  # doctest: +SKIP
        Image(id=0, key='a/first.png', 640 x 480)
    """

    def __init__(self, path: str | Path, *, extensions: Iterable[str] = EXTENSIONS) -> None:
        self._root = Path(path)
        if isinstance(extensions, str):
            raise ValueError(f"[FolderImages] extensions: expected a list such as ['.png'], got {extensions!r}")
        wanted = {f".{extension.lower().lstrip('.')}" for extension in extensions}
        if not self._root.is_dir():
            raise ValueError(f"[FolderImages] path: no folder {str(self._root)!r}")
        files = (file for file in self._root.rglob("*") if file.suffix.lower() in wanted and file.is_file())
        self._keys = sorted(file.relative_to(self._root).as_posix() for file in files)
        if not self._keys:
            raise ValueError(f"[FolderImages] path: no {', '.join(sorted(wanted))} below {str(self._root)!r}")

    def __repr__(self) -> str:
        return f"FolderImages({str(self._root)!r}, {len(self)} images)"

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int, /) -> Image:
        if not 0 <= index < len(self):
            raise IndexError(f"[FolderImages] index must be in [0, {len(self)}), got {index}")
        key = self._keys[index]
        try:
            with PILImage.open(self._root / key) as file:
                pixels = _rgb(ImageOps.exif_transpose(file))
        except (OSError, SyntaxError, ValueError, EOFError, PILImage.DecompressionBombError) as error:
            raise ValueError(f"[FolderImages] {key}: cannot be read as an image ({error})") from error
        return Image(index, key, pixels)


class Chosen:
    """Some of a source's images, numbered anew.

    Args:
        source: of any kind.
        indices: which, in their new order.

    Example:
        >>> len(Chosen(FolderImages("photos"), [7, 3]))  # doctest: +SKIP
        2
    """

    def __init__(self, source: ImageSource, indices: Sequence[int]) -> None:
        self._source, self._indices = source, list(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int, /) -> Image:
        if not 0 <= index < len(self):
            raise IndexError(f"[Chosen] index must be in [0, {len(self)}), got {index}")
        return replace(self._source[self._indices[index]], id=index)


def _rgb(picture: PILImage.Image) -> PILImage.Image:
    """RGB; what is transparent becomes white, not the colour stored below it; grey of 16 bits is scaled."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = PILImage.new("RGBA", picture.size, "white")
        return PILImage.alpha_composite(white, picture).convert("RGB")
    if picture.mode.startswith("I;16"):  # Pillow would cut at 255
        picture = PILImage.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture.convert("RGB")
