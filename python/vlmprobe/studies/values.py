"""Numbers as JSON has them."""

from __future__ import annotations

import math
from typing import Any, Protocol

Plain = dict[str, Any]


class Bounded(Protocol):
    """A number with an interval."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class Numbered(Bounded, Protocol):
    """A rate or an estimate."""

    @property
    def n(self) -> int: ...


def plain_estimate(found: Numbered | None) -> Plain:
    """As values that JSON has; an end that is not known, and all of what has no value, is None."""
    if found is None or math.isnan(found.value):
        return {"value": None, "low": None, "high": None, "n": 0 if found is None else found.n}
    return {"value": found.value, "low": finite(found.low), "high": finite(found.high), "n": found.n}


def finite(value: float) -> float | None:
    """None for what is not."""
    return value if math.isfinite(value) else None
