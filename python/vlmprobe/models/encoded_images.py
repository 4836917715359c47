"""Pictures as the bytes that are sent to a server: each encoded once."""

from __future__ import annotations

import hashlib
import io
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence

from PIL.Image import Image as Pixels
from PIL.Image import Resampling

from vlmprobe._util.checks import check_count
from vlmprobe.data.pixels import rgb
from vlmprobe.models.model import EncodedImage
from vlmprobe.models.protocols import Picture


class EncodedImages:
    """Pictures to PNG, without loss, or to JPEG. The least recently used goes first. Several models and threads may
    share one.

    Pictures are the same when their pixels are, whatever they call themselves; pixels are not to be changed in place.

    Args:
        capacity: pictures kept.
        format: `png` or `jpeg`.
        quality: of jpeg, 1 to 100.
        longest_side: pixels; a larger picture is made smaller. None: it is sent as it is.

    Example:
        >>> images = EncodedImages()
        >>> answerer = ModelAnswerer(client, images=images)  # doctest: +SKIP
        >>> verifier = ModelVerifier(other, images=images)  # doctest: +SKIP
    """

    def __init__(
        self, *, capacity: int = 512, format: str = "png", quality: int = 90, longest_side: int | None = None
    ) -> None:
        check_count("EncodedImages", "capacity", capacity)
        if format not in ("png", "jpeg"):
            raise ValueError(f"[EncodedImages] format: expected png or jpeg, got {format!r:.60}")
        if not 1 <= quality <= 100:
            raise ValueError(f"[EncodedImages] quality: expected 1 to 100, got {quality}")
        if longest_side is not None:
            check_count("EncodedImages", "longest_side", longest_side)
        self._capacity, self._format, self._quality, self._longest = capacity, format, quality, longest_side
        self._kept: OrderedDict[bytes, EncodedImage] = OrderedDict()
        self._digests: OrderedDict[int, tuple[weakref.ref[Pixels], bytes]] = OrderedDict()  # by id, while it lives
        self._lock = threading.Lock()

    def __call__(self, picture: Picture) -> EncodedImage:
        """The picture's file; equal pixels give the same object.

        Raises:
            ValueError: pixels that cannot be had or encoded; names the picture.
        """
        try:
            return self._encoded(picture.pixels)
        except Exception as error:  # pixels may be read only now, and decoders raise whatever they meet
            raise ValueError(f"[EncodedImages] {picture.key}: cannot be encoded ({error})") from error

    def each(self, pictures: Sequence[Picture]) -> list[EncodedImage | ValueError]:
        """The pictures' files, and the error where one cannot be had: a bad picture never takes its batch."""
        found: list[EncodedImage | ValueError] = []
        for picture in pictures:
            try:
                found.append(self(picture))
            except ValueError as error:
                found.append(error)
        return found

    def _encoded(self, pixels: Pixels) -> EncodedImage:
        with self._lock:
            digest = self._digest(pixels)
            found = self._kept.get(digest)
            if found is None:
                file = io.BytesIO()
                bare = self._fitted(rgb(pixels))
                if bare.info:  # equal pixels make equal files, whatever profile the picture came with
                    bare = bare.copy()
                    bare.info.clear()
                options = {"quality": self._quality} if self._format == "jpeg" else {}
                bare.save(file, format=self._format.upper(), **options)
                found = EncodedImage(data=file.getvalue(), media_type=f"image/{self._format}")
                self._kept[digest] = found
            self._kept.move_to_end(digest)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
            return found

    def _fitted(self, picture: Pixels) -> Pixels:
        if self._longest is None or max(picture.size) <= self._longest:
            return picture
        share = self._longest / max(picture.size)
        width, height = (max(1, round(side * share)) for side in picture.size)
        return picture.resize((width, height), Resampling.LANCZOS)

    def _digest(self, pixels: Pixels) -> bytes:
        """Of size and pixels as they are shown, computed once for each object."""
        known, digest = self._digests.get(id(pixels), (None, b""))
        if known is None or known() is not pixels:
            shown = rgb(pixels)
            digest = hashlib.sha256(f"{shown.size}\n".encode() + shown.tobytes()).digest()
            self._digests[id(pixels)] = weakref.ref(pixels), digest
            if len(self._digests) > 4 * self._capacity:
                self._digests.popitem(last=False)
        return digest

    def __repr__(self) -> str:
        return f"EncodedImages({len(self._kept)} of {self._capacity})"
