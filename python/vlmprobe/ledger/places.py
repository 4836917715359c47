"""Which step the calls that are recorded belong to: one for all threads, or another for one that works ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vlmprobe._util.json import encodable

Named = tuple[str, str, int]
"""Run, phase and step."""


class Places:
    """The present step."""

    def __init__(self) -> None:
        self._all: Named | None = None
        self._own = threading.local()

    def set(self, run: str, phase: str, step: int) -> None:
        """Of all threads that have none of their own."""
        self._all = (encodable(run), encodable(phase), step)

    @contextmanager
    def here(self, run: str, phase: str, step: int) -> Iterator[None]:
        """Of this thread, within the block."""
        self._own.place = (encodable(run), encodable(phase), step)
        try:
            yield
        finally:
            self._own.place = None

    def now(self) -> Named:
        """Of this thread.

        Raises:
            RuntimeError: no step was named.
        """
        place = getattr(self._own, "place", None) or self._all
        if place is None:
            raise RuntimeError("[Ledger] calls belong to a step: name it by Ledger.at first")
        return place
