"""The learning rate as a function of the step's number alone: a run that is taken up again needs no state for it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vlmprobe._util.checks import check_count

SHAPES = ("constant", "cosine")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A share of the learning rate for each step, from 0 to 1.

    In the first `warmup` steps it grows in equal parts, so that step `warmup - 1` is the first with all of it. Then it
    stays, or falls as half a cosine to 0 at step `total`, and is 0 from there on.

    Example:
        >>> [Schedule(shape="cosine", warmup=2, total=6)(step) for step in range(3)]
        [0.5, 1.0, 1.0]

    Raises:
        ValueError: a shape that is none of SHAPES; a cosine without a total above its warm-up.
    """

    shape: str = "constant"
    warmup: int = 0
    """Steps."""
    total: int | None = None
    """Steps; a cosine needs it."""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise ValueError(f"[Schedule] shape: expected {' or '.join(SHAPES)}, got {self.shape!r:.60}")
        if self.warmup:
            check_count("Schedule", "warmup", self.warmup)
        if self.shape == "cosine" and (self.total is None or self.total <= self.warmup):
            raise ValueError(f"[Schedule] total: expected more than the warm-up's {self.warmup}, got {self.total}")

    def __call__(self, step: int) -> float:
        """The share of the rate in a step, which is counted from 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        if self.shape == "constant":
            return 1.0
        assert self.total is not None
        return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step - self.warmup) / (self.total - self.warmup)))


CONSTANT = Schedule()
