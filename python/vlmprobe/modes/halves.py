"""Two halves of the pictures, by a hash of their names: what is found on one is rated on the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from vlmprobe.modes.asked import Asked


def half_of(key: str, *, seed: int = 0) -> int:
    """0 or 1: the lowest bit of the SHA-256 of `<seed> <key>`. All questions about a picture are in its half."""
    return hashlib.sha256(f"{seed} {key}".encode()).digest()[-1] & 1


def halves(asked: Sequence[Asked], *, seed: int = 0) -> tuple[list[Asked], list[Asked]]:
    """The questions about the pictures of either half, in their order."""
    parts: tuple[list[Asked], list[Asked]] = ([], [])
    for each in asked:
        parts[half_of(each.key, seed=seed)].append(each)
    return parts
