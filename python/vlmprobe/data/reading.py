"""The one path by which every source reads its pictures, and what one that cannot be read is said to be."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PILImage

from vlmprobe._util.checks import check_count
from vlmprobe.data.files import FORMATS, read_picture
from vlmprobe.data.image import Image, SourceGone, UnreadableImage

_OF_THE_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOTCONN, errno.ESTALE}
READERS = min(8, 2 * (os.cpu_count() or 1))
"""Threads that may read a source at the same time."""
_DECODING = threading.BoundedSemaphore(READERS)  # pictures in memory, however many are downloaded
_REFUSED = ("EPS", "WMF")  # they start another program, or the system's drawing


@dataclass(frozen=True)
class Reading:
    """How the pictures of a source are read.

    Raises:
        ValueError: a format that Pillow does not have or that starts another program; max_pixels below 1.
    """

    source: str
    """Whose pictures these are, for messages."""
    home: Path
    """What has to be there for any of them to be read: a folder or a file."""
    formats: tuple[str, ...]
    """What a file may hold, whatever its name says, as Pillow names it."""
    max_pixels: int
    """A picture whose head says more is not read."""

    @staticmethod
    def of(source: str, home: Path, formats: Iterable[str], max_pixels: int) -> Reading:
        """With the values checked."""
        if isinstance(formats, str):
            raise ValueError(f"[{source}] formats: expected a list such as ['.png'], got {formats!r}")
        check_count(source, "max_pixels", max_pixels)
        PILImage.init()
        wanted = tuple(str(name).upper() for name in formats)
        for name in wanted:
            if name in _REFUSED or (name not in PILImage.OPEN and name not in FORMATS):
                raise ValueError(f"[{source}] formats: expected some such as {', '.join(FORMATS)}, got {name!r:.60}")
        return Reading(source, home, wanted, max_pixels)

    def __call__(
        self,
        index: int,
        key: str,
        file: Callable[[], Path | bytes],
        *,
        meta: Callable[[], object] = lambda: None,
        small: int | None = None,
    ) -> Image:
        """Image `index`.

        Args:
            index: number of the image.
            key: its name.
            file: where it is, or what its file holds; may raise, and says why the picture cannot be read.
            meta: what the source knows besides.
            small: as in `read_picture`.

        Raises:
            UnreadableImage: it cannot be read; names it.
            SourceGone: no picture of the source can be read now.
        """
        try:
            held = file()
            with _DECODING:
                pixels = read_picture(held, formats=self.formats, max_pixels=self.max_pixels, small=small)
            return Image(index, key, pixels, meta())
        except Exception as error:  # decoders raise whatever they meet
            if not self.home.exists():
                raise SourceGone(f"[{self.source}] path: {str(self.home)!r} is not there any more") from None
            if getattr(error, "errno", None) in _OF_THE_MACHINE:
                raise SourceGone(f"[{self.source}] {key}: cannot be read now ({error})") from error
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise UnreadableImage(f"[{self.source}] {key}: cannot be read as an image ({reason:.200})") from error

    def place(self, index: int, total: int) -> int:
        """The number, if it is one of the source.

        Raises:
            IndexError: it is none.
        """
        if not 0 <= index < total:
            raise IndexError(f"[{self.source}] index must be in [0, {total}), got {index}")
        return index


def inside(folder: Path, name: str) -> Path:
    """The file of a name that an annotation or a table gives.

    Raises:
        ValueError: the name leads out of the folder, by `..` or as an absolute path.
        FileNotFoundError: it is no file.
    """
    root = os.path.abspath(folder)
    file = os.path.normpath(os.path.join(root, name))
    if not name or file == root or os.path.commonpath([root, file]) != root:
        raise ValueError(f"expected a file below {str(folder)!r}, got a name that leads out of it")
    if not os.path.isfile(file):  # a pipe would be waited for
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), file)
    return Path(file)


def stamp(file: Path) -> str:
    """Another one where the file has been changed; empty where it is not there."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def encodable(name: str) -> str:
    """The name with what UTF-8 cannot hold as escapes, as keys are."""
    return name.encode("utf-8", "backslashreplace").decode()
