"""Pictures as the bytes that are sent to a server: each encoded once."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Sequence

from vlmprobe._checks import check_count
from vlmprobe._pixels import rgb
from vlmprobe.models.model import EncodedImage
from vlmprobe.models.protocols import Picture


class EncodedImages:
    """Pictures to PNG, without loss. The least recently used goes first. Several models and threads may share one.

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
        self._kept: OrderedDict[str, EncodedImage] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, picture: Picture) -> EncodedImage:
        """The picture's file; equal pixels give the same object.

        Raises:
            ValueError: pixels that cannot be had or encoded; names the picture.
        """
        try:
            return self._encoded(picture)
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

    def _encoded(self, picture: Picture) -> EncodedImage:
        with self._lock:
            found = self._kept.get(picture.sha256)
            if found is None:
                file = io.BytesIO()
                bare = rgb(picture.pixels)
                if bare.info:  # equal pixels make equal files, whatever profile the picture came with
                    bare = bare.copy()
                    bare.info.clear()
                bare.save(file, format="PNG")
                found = self._kept[picture.sha256] = EncodedImage(data=file.getvalue())
            self._kept.move_to_end(picture.sha256)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
            return found

    def __repr__(self) -> str:
        return f"EncodedImages({len(self._kept)} of {self._capacity})"
