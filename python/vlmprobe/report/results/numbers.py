"""Numbers with what belongs to them; what is not known is None."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number and the ends of its 95 % interval."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Estimate(Interval):
    """A rate, a mean or a count."""

    n: float | None = None
    """What it is of; with several seeds perhaps a mean."""


@dataclass(frozen=True, kw_only=True)
class Difference(Interval):
    """The first of two less the second."""

    p: float | None = None


UNKNOWN = Estimate()
NO_DIFFERENCE = Difference()
