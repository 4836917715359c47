"""What the process that takes times finds in its environment: malloc's setting, `default` or `kept`, and BLAS's.

glibc gives large blocks back to the kernel when they are freed, and the kernel clears each page when it is touched
again. A call that makes large temporaries spends most of its time there: TRL's log-probability and entropy of float32
logits take three times as long (measured). `default` is what a user has who sets nothing, and what the targets are
for; with `kept`, freed memory stays in the process, for both sides alike, so that page faults decide nothing.

The threads of OpenBLAS spin for a while after a call and take a core of whatever is timed next: on two cores `vendi`
takes 65 ms after a call of NumPy's that way, and 40 ms otherwise (measured), and NumPy itself is slower. Here they
sleep at once.
"""

from __future__ import annotations

import os
import sys

KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 40),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
CHOICES = ("kept", "default")
ALWAYS = {"OPENBLAS_THREAD_TIMEOUT": "8"}  # 2^8 cycles


def variables(choice: str) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if name not in KEPT} | ALWAYS
    return others | KEPT if choice == "kept" else others


def restart(choice: str) -> None:
    """Starts this process again where its settings are others: they are read once."""
    wanted = variables(choice)
    if wanted != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


def reserve(size: int) -> None:
    """Touches `size` bytes, at most half of what is free, and frees them: with `kept` they are there from then on."""
    import torch

    if "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    torch.empty(min(size, free // 2), dtype=torch.uint8).fill_(1)
