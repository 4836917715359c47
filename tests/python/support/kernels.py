"""A notebook's kernel, in a process of its own, that runs cells and can be interrupted."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parents[3]
PATHS = (ROOT / "python", ROOT / "tests" / "python")
LONGEST_S = 60.0


class Kernel:
    """Runs cells one after the other."""

    def __init__(self, manager: Any, client: Any):
        self._manager, self._client = manager, client

    def run(self, code: str, *, interrupt_at: str = "") -> list[dict[str, Any]]:
        """The outputs of a cell, later ones in the place of those that they update.

        Args:
            code: of the cell.
            interrupt_at: a pattern; at the first output that has it the kernel is interrupted, as by the stop button.
        """
        outputs, began, interrupted = list[dict[str, Any]](), time.monotonic(), False

        def take(message: dict[str, Any]) -> None:
            nonlocal interrupted
            content, kind = message["content"], message["msg_type"]
            name = content.get("transient", {}).get("display_id")
            if kind == "update_display_data":
                place = next(i for i, each in enumerate(outputs) if each["display_id"] == name)
                outputs[place] = {"kind": "display_data", "display_id": name, **content}
            elif kind in ("stream", "display_data", "execute_result", "error"):
                outputs.append({"kind": kind, "display_id": name, **content})
            if interrupt_at and not interrupted and re.search(interrupt_at, str(content)):
                interrupted = True
                self._manager.interrupt_kernel()
            assert time.monotonic() - began < LONGEST_S

        self._client.execute_interactive(code, output_hook=take, timeout=LONGEST_S)
        return outputs


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel that begins in a folder, and sees this checkout and what tests share."""
    paths = os.pathsep.join([*map(str, PATHS), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(folder / ".ipython")}
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder), env=env)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
