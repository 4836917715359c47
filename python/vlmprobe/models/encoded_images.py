"""Pictures as the bytes that are sent to a server: each encoded once."""

from __future__ import annotations

import hashlib
import io
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence

from PIL.Image import Image as Pixels

from vlmprobe._util.checks import check_count
from vlmprobe.data.pixels import rgb
from vlmprobe.models.model import EncodedImage
from vlmprobe.models.protocols import Picture


class EncodedImages:
    """Pictures to PNG, without loss. The least recently used goes first. Several models and threads may share one.

    Pictures are the same when their pixels are, whatever they call themselves; pixels are not to be changed in place.

    Args:
        capacity: pictures kept.

    Example:
        >>> images = EncodedImages()
        >>> answerer = ModelAnswerer(client, images=images)  # doctest: +SKIP
        >>> verifier = ModelVerifier(other, images=images)  # doctest: +SKIP
    """

    def __init__(self, *, capacity: int = 512):
        check_count("EncodedImages", "capacity", capacity)
        self._capacity = capacity
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
                bare = rgb(pixels)
                if bare.info:  # equal pixels make equal files, whatever profile the picture came with
                    bare = bare.copy()
                    bare.info.clear()
                bare.save(file, format="PNG")
                found = self._kept[digest] = EncodedImage(data=file.getvalue())
            self._kept.move_to_end(digest)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
            return found

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
