"""Stopping after a step: the first Ctrl-C is heard at the end of the step, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Stopping:
    """Whether a signal asked for the end."""

    asked: bool = False

    @contextmanager
    def heard(self) -> Iterator[Stopping]:
        """Has the first SIGINT or SIGTERM end the block's work at the end of a step, and the second at once. The block
        ends in KeyboardInterrupt then."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return

        def stop(*_: object) -> None:
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True
            os.write(2, b"stopping at the end of this step; once more stops at once\n")  # no stream: it may be in use

        before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
        if self.asked:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Ends the work here, at the end of a step, where that was asked for."""
        if self.asked:
            raise KeyboardInterrupt
