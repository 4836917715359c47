"""Image sources: any object with a length and numbered images will do; a folder of files is one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from vlmprobe.data.files import EXTENSIONS, FORMATS, MAX_PIXELS, picture_files
from vlmprobe.data.image import Image, UnreadableImage
from vlmprobe.data.reading import READERS, Reading, stamp


@runtime_checkable
class ImageSource(Protocol):
    """Numbered images. `source[i]` has id i, and is the same picture every time it is asked for."""

    def __len__(self) -> int:
        """Number of images."""

    def __getitem__(self, index: int, /) -> Image:
        """Image `index` of 0 .. len-1; IndexError outside. What is raised else means that this one cannot be read
        (`UnreadableImage` says so), but for `SourceGone`: that none can."""


class KeyedImages(Protocol):
    """A source that knows the names of its images without reading them: a run that is resumed finds each by its name,
    whatever was taken away or added since."""

    @property
    def keys(self) -> Sequence[str]:
        """[len] names, each once, in the order of the numbers."""


class FolderImages:
    """The images below a folder, sub-folders included, in the order of their paths; read when asked for.

    The key is the path inside the folder, with forward slashes; sorting is by that text, the same on every machine.
    Pictures come as RGB, turned as their orientation says, transparency over white, deep grey scaled
    (`vlmprobe.data.rgb`), the first frame of several. Hidden files and folders below the folder, and what systems keep
    beside pictures (`__MACOSX`, `@eaDir`, bins), are none.

    Args:
        path: the folder. Links to folders are not followed.
        extensions: file names that count, whatever their case.
        formats: what a file may hold, whatever its name says, as Pillow names it.
        max_pixels: a picture whose head says more is not read.
    Raises:
        ValueError: no such folder, or one below it that cannot be listed; no image in it; a format that Pillow does not
            have or that starts another program; max_pixels below 1.
        UnreadableImage: when an image is asked for: a file that cannot be read (names it).
        SourceGone: when an image is asked for and the folder is not there any more, or the machine has no handle left.

    Example:
        >>> images = FolderImages("photos", extensions=(".png",))  # doctest: +SKIP
        >>> images[0]  # doctest: +SKIP
        Image(id=0, key='a/first.png', 640 x 480)
    """

    kind = "a folder"
    readers = READERS

    def __init__(
        self,
        path: str | Path,
        *,
        extensions: Iterable[str] = EXTENSIONS,
        formats: Iterable[str] = FORMATS,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._root = Path(path)
        if isinstance(extensions, str):
            raise ValueError(f"[FolderImages] extensions: expected a list such as ['.png'], got {extensions!r}")
        wanted = {f".{extension.lower().lstrip('.')}" for extension in extensions}
        self._reading = Reading.of("FolderImages", self._root, formats, max_pixels)
        if not self._root.is_dir():
            raise ValueError(f"[FolderImages] path: no folder {str(self._root)!r}")
        try:
            self._files = picture_files(self._root, wanted)
        except OSError as error:
            raise ValueError(f"[FolderImages] path: cannot list {error.filename!r} ({error.strerror})") from None
        self._keys = list(self._files)
        if not self._keys:
            raise ValueError(f"[FolderImages] path: no {', '.join(sorted(wanted))} below {str(self._root)!r}")

    @property
    def keys(self) -> Sequence[str]:
        """[len] paths inside the folder."""
        return self._keys

    def __repr__(self) -> str:
        return f"FolderImages({str(self._root)!r}, {len(self)} images)"

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int, /) -> Image:
        return self.glimpse(index, None)

    def glimpse(self, index: int, small: int | None) -> Image:
        """Image `index`, of a JPEG perhaps a smaller one: see `read_picture`."""
        key = self._keys[self._reading.place(index, len(self))]
        return self._reading(index, key, lambda: self._files[key], small=small)

    def stamp(self, index: int) -> str:
        """Another one where the picture's file has been changed."""
        return stamp(self._files[self._keys[index]])


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

    @property
    def keys(self) -> Sequence[str]:
        """[len] names, where the source knows them."""
        known = keys_of(self._source)
        if known is None:
            raise AttributeError("keys")
        return [known[index] for index in self._indices]


class Recalled:
    """A source as it was when a run began: every picture under the number that it had then.

    A picture that is not in the source any more is one that cannot be read; one that is new has no number. Where the
    source is a draw (`vlmprobe.data.Drawn`), a picture that would not be drawn today is found all the same.

    Args:
        source: with `keys`.
        keys: of the run's pictures, in the order of their numbers.

    Raises:
        ValueError: none of the keys is in the source: these are other pictures.
    """

    def __init__(self, source: ImageSource, keys: Sequence[str]) -> None:
        now = keys_of(source) or ()
        self._source, self._keys = getattr(source, "whole", source), list(keys)
        known = keys_of(self._source) or ()
        self._places = {key: index for index, key in enumerate(known)}
        self.missing = [key for key in keys if key not in self._places]
        """Keys that the source has not any more."""
        self.added = sorted(set(now) - set(keys))
        """Keys that the source has besides."""
        if len(self.missing) == len(self._keys):
            got = ", ".join(known[:3]) or "images without names"
            raise ValueError(f"[Recalled] images: expected those of the run, such as {keys[0]!r}, got {got}")

    @property
    def keys(self) -> Sequence[str]:
        """[len] names, as they were."""
        return self._keys

    @property
    def changes(self) -> str:
        """What is another than it was, in words."""
        said = ((self.missing, "not there any more, left out"), (self.added, "new, not used"))
        return "; ".join(
            f"{len(keys)} {what} ({', '.join(keys[:3])}{', ...' * (len(keys) > 3)})" for keys, what in said if keys
        )

    def __repr__(self) -> str:
        return f"Recalled({len(self)} images, {len(self.missing)} missing, {len(self.added)} new ones not used)"

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int, /) -> Image:
        if not 0 <= index < len(self):
            raise IndexError(f"[Recalled] index must be in [0, {len(self)}), got {index}")
        key = self._keys[index]
        if key not in self._places:
            raise UnreadableImage(f"[Recalled] {key}: is not among the pictures any more")
        return replace(self._source[self._places[key]], id=index)


def keys_of(images: ImageSource) -> Sequence[str] | None:
    """The names of a source's images, or None where it does not know them without reading."""
    keys = getattr(images, "keys", None)  # a mapping's `keys` is a function
    return keys if isinstance(keys, Sequence) and not isinstance(keys, str) else None
