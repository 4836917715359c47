"""Drawing pictures from a source: which, by a seed; near-duplicates left out; what cannot be read named at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlmprobe._util.checks import check_count
from vlmprobe.data.image import Image
from vlmprobe.data.looks import Alike, Looks, chunks, keys_or_numbers
from vlmprobe.data.source import ImageSource, keys_of


@dataclass(frozen=True)
class Duplicate:
    """A picture that was left out because it looks like another one."""

    key: str
    of: str
    """Key of the picture that was drawn."""


class Drawn:
    """Pictures that were drawn from a source, numbered anew in its order.

    `Recalled` finds the pictures of a run in the whole source, so that what is drawn today does not matter to it.
    """

    def __init__(
        self, whole: ImageSource, indices: Sequence[int], unreadable: dict[int, str], duplicates: Sequence[Duplicate]
    ) -> None:
        self.whole = whole
        """The source."""
        self._indices = list(indices)
        self.unreadable = {at: unreadable[index] for at, index in enumerate(self._indices) if index in unreadable}
        """Number -> why it could not be read when it was looked at; it is among the pictures all the same."""
        self.duplicates = list(duplicates)
        """What was left out."""

    @property
    def kind(self) -> str:
        """What the source is, in words."""
        return getattr(self.whole, "kind", type(self.whole).__name__)

    @property
    def keys(self) -> Sequence[str]:
        """[len] names, where the source knows them."""
        known = keys_of(self.whole)
        if known is None:
            raise AttributeError("keys")
        return [known[index] for index in self._indices]

    def __repr__(self) -> str:
        return f"Drawn({len(self)} of {self.whole!r}, {len(self.unreadable)} cannot be read)"

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int, /) -> Image:
        if not 0 <= index < len(self):
            raise IndexError(f"[Drawn] index must be in [0, {len(self)}), got {index}")
        return replace(self.whole[self._indices[index]], id=index)


def draw(
    images: ImageSource,
    n: int | None = None,
    *,
    seed: int = 0,
    near_duplicates: bool = False,
    distance: int = 4,
    kept_in: str | Path | None = None,
) -> Drawn:
    """Looks at pictures and takes `n` of them, or all.

    The order in which they are taken is that of a hash of (seed, key), so that a picture that comes or goes moves no
    other: of the same keys the same are drawn, on every machine. Without `n` it is the source's own order. A picture
    that looks like one taken before is passed over. One that cannot be read is taken: whether it can be tomorrow does
    not change the draw, and a run leaves it out until it can.

    Args:
        images: of any kind; those of FolderImages, CocoImages, TableImages and DatasetImages are looked at quickly.
        n: how many; None or more than there are: all.
        seed: of the draw.
        near_duplicates: whether they are kept; without that they are passed over.
        distance: as in `vlmprobe.data.near_duplicates`.
        kept_in: a file that keeps what was found, so that it is not looked for again.

    Raises:
        ValueError: n below 1; a distance outside 0 to 64.
        SourceGone: none can be read, for a cause that is none of theirs.

    Example:
        >>> draw(FolderImages("photos"), 1000, seed=0)  # doctest: +SKIP
        Drawn(1000 of FolderImages('photos', 52310 images), 2 cannot be read)
    """
    if n is not None:
        check_count("draw", "n", n)
    keys, looks, alike = keys_or_numbers(images), Looks.kept_in(kept_in), Alike(distance)
    most = len(keys) if n is None else min(n, len(keys))
    order = list(range(len(keys))) if n is None else sorted(range(len(keys)), key=lambda at: _ticket(seed, keys[at]))
    taken: list[int] = []
    unreadable: dict[int, str] = {}
    duplicates: list[Duplicate] = []
    for some in chunks(order if not near_duplicates else order[:most]):
        found = dict(zip(sorted(some), looks.of(images, sorted(some)), strict=True))  # row groups are read in order
        for index in some:
            if len(taken) == most:
                break
            look = found[index]
            if look.reason:
                unreadable[index] = look.reason
            elif not near_duplicates and (earlier := alike.add(index, look)) is not None:
                duplicates.append(Duplicate(keys[index], keys[earlier]))
                continue
            taken.append(index)
        if len(taken) == most:
            break
    looks.save()
    return Drawn(images, sorted(taken), unreadable, duplicates)


def _ticket(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed}/{key}".encode("utf-8", "backslashreplace")).digest()
