"""A bar that is drawn anew in its place: by rich, in a terminal, and in a notebook as a display that is updated.

Elsewhere there is none, and what is said comes as plain lines.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from vlmprobe._util.visible import say, visible

PAUSE_S = 0.2  # between two drawings in a notebook


class Bar:
    """A line of text, a bar and the time that is left, on stderr.

    Args:
        total: what `done` runs to; None where that is not known.
        done: how much of it is done already.
        wanted: False draws nothing, wherever it is.
    """

    def __init__(self, total: float | None, *, done: float = 0, wanted: bool = True):
        self.live = False
        """Whether it is drawn."""
        self._bar: Any = None
        self._display: Any = None
        self._drawn = 0.0
        if not (wanted and (sys.stderr.isatty() or "IPython" in sys.modules)):
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        console = Console(stderr=True)
        self.live, self._notebook = console.is_jupyter or sys.stderr.isatty(), console.is_jupyter
        words = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1))  # goes on in a next line
        columns = words, BarColumn(bar_width=20), TimeRemainingColumn()
        self._bar = Progress(*columns, console=console, transient=True, expand=True)
        self._task = self._bar.add_task("", total=total or None, completed=done)

    def __enter__(self) -> Bar:
        if self.live and self._notebook:
            from IPython.display import display

            self._display = display(self._bar, display_id=True)
        elif self.live:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._display is not None:
            self._display.update(self._bar)
        elif self.live:
            self._bar.stop()
        self.live = False

    @property
    def stays(self) -> bool:
        """Whether what it showed last can still be seen."""
        return self._display is not None

    def update(self, done: float, text: str) -> None:
        """Draws it anew, where it is drawn."""
        if not self.live:
            return
        self._bar.update(self._task, completed=done, description=visible(text))
        if self._display is not None and time.monotonic() - self._drawn > PAUSE_S:
            self._display.update(self._bar)
            self._drawn = time.monotonic()

    def say(self, line: str) -> None:
        """A line above it, or where it is not drawn, a line."""
        if self.live and self._display is None:
            self._bar.console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
        else:
            say(line, to=sys.stderr, flush=True)
