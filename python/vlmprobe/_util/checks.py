"""Checks of plain values, in the house's wording."""

from __future__ import annotations

import math
from typing import Any


def check_count(op: str, name: str, value: Any) -> None:
    """A whole number of at least 1.

    Raises:
        ValueError: anything else; names the field and the value.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"[{op}] {name}: expected a whole number, got {value!r:.60}")
    if value < 1:
        raise ValueError(f"[{op}] {name}: expected at least 1, got {value}")


def check_positive(op: str, name: str, value: Any) -> None:
    """A finite number above 0.

    Raises:
        ValueError: anything else; names the field and the value.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ValueError(f"[{op}] {name}: expected a number, got {value!r:.60}")
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"[{op}] {name}: expected a finite number above 0, got {value}")


def check_rows(op: str, name: str, expected: int, rows: Any) -> None:
    """As many rows as were asked for.

    Raises:
        ValueError: another number.
    """
    if len(rows) != expected:
        raise ValueError(f"[{op}] {name}: expected {expected} rows, got {len(rows)}")
