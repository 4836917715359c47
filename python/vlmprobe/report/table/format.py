"""Numbers and texts as they are printed. What is not known (None, NaN) is a dash, never 0."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from vlmprobe._util.visible import visible

DASH = "–"
_BROKEN_MARK = re.compile(r"⟨(U(\+[0-9A-F]*)?)?$")


def missing(value: Any) -> bool:
    """True for None and NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def percent(value: float | None) -> str:
    """A share as percent with one decimal, without the sign: 0.3125 -> 31.2."""
    return decimal(None if missing(value) or value is None else 100 * value, 1)


def small_percent(value: float | None) -> str:
    """A share that may be tiny, with two significant digits: 0.00052 -> 0.052."""
    if missing(value) or value is None:
        return DASH
    share = 100 * value
    return percent(value) if share >= 1 or share <= 0 else f"{share:.{1 - math.floor(math.log10(share))}f}"


def count(value: float | None) -> str:
    """A whole number with groups of three: 12345 -> 12,345."""
    return DASH if missing(value) or value is None else f"{round(value):,}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with a fixed count of decimals."""
    if missing(value) or value is None:
        return DASH
    return f"{value:,.{digits}f}" if math.isfinite(value) else str(value)


def percent_interval(ends: Sequence[float | None] | None, between: str) -> str:
    """The two ends of an interval of shares, as `28.9 to 33.6`; empty when an end is not known."""
    if ends is None or any(missing(end) for end in ends):
        return ""
    return between.join(percent(end) for end in ends)


def plain(value: str, limit: int = 2000) -> str:
    """Text that shows what it holds: what nobody sees as marks (`_visible.visible`), cut at `limit` characters."""
    shown = visible(value[: limit + 1])
    return shown if len(shown) <= limit else _BROKEN_MARK.sub("", shown[:limit]) + "…"


def line(value: object, limit: int = 2000) -> str:
    """A text on one line that shows what it holds; see `plain`."""
    return " ".join(plain(str(value), limit).split())


def p_value(value: float | None) -> str:
    """A p- or q-value: `0.012`, `< 0.001`."""
    if missing(value) or value is None:
        return DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def p_text(value: float | None) -> str:
    """`p = 0.012`, `p < 0.001`; empty when it is not known."""
    shown = p_value(value)
    return "" if shown == DASH else f"p {shown}" if shown.startswith("<") else f"p = {shown}"
