"""Why a step is not made. Apart from what computes, so that the command line knows them without loading torch."""

from __future__ import annotations

from typing import ClassVar


class StepNotMade(RuntimeError):
    """A step ended before it counted. Memory, weights and the order of images are as before it."""

    exit_code: ClassVar[int] = 1
    """Of a command that ends so."""


class BudgetSpent(StepNotMade):
    """A model was not asked, because its budget of calls, tokens or cost is spent."""

    exit_code = 3


class Unserved(StepNotMade):
    """No call of a role came through: all were refused, or met an outage."""

    exit_code = 4
