"""Pillow as a strict reader, in several threads at once: without its warnings, and without its leave to fill gaps."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from PIL import Image as PILImage
from PIL import ImageFile

_LOCK = threading.Lock()
_PILLOWS = r"PIL\."


class _Inside:
    """How many threads read now, and what the first of them found set."""

    count = 0
    lenient = False
    filter: Any = None


@contextmanager
def as_it_is() -> Iterator[None]:
    """Without Pillow's warnings, and without its leave to fill what a file lacks with grey.

    The first thread that comes in sets this and the last that goes puts it back, so that threads decode side by side.
    The filter is put in and taken out by itself: `warnings.catch_warnings` would put back what another thread's block
    has changed meanwhile.
    """
    PILImage.init()
    with _LOCK:
        if not _Inside.count:
            _Inside.lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            warnings.filterwarnings("ignore", module=_PILLOWS)
            _Inside.filter = warnings.filters[0]
        _Inside.count += 1
    try:
        yield
    finally:
        with _LOCK:
            _Inside.count -= 1
            if not _Inside.count:
                ImageFile.LOAD_TRUNCATED_IMAGES = _Inside.lenient
                with suppress(ValueError):
                    warnings.filters.remove(_Inside.filter)  # type: ignore[attr-defined]
