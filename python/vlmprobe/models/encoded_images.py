"""Pictures as the bytes that are sent to a server: each encoded once."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict

from vlmprobe._checks import check_count
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
        """The picture's file; equal pixels give the same object."""
        with self._lock:
            found = self._kept.get(picture.sha256)
            if found is None:
                file = io.BytesIO()
                picture.pixels.save(file, format="PNG")
                found = self._kept[picture.sha256] = EncodedImage(data=file.getvalue())
            self._kept.move_to_end(picture.sha256)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
            return found

    def __repr__(self) -> str:
        return f"EncodedImages({len(self._kept)} of {self._capacity})"
