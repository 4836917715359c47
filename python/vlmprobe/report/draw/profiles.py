"""How well lists of weaknesses fit the planted ones over the size of the list, and how many faults are named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vlmprobe.metrics import Rate
from vlmprobe.report.draw.svg import LINES, axes, canvas, colour, saved, width_of

_HIGH, _CURVES, _BARS = 2.6, 3.8, 2.6  # inches


def profiles(
    name: str, curves: Mapping[str, Sequence[tuple[int, float]]], named: Mapping[str, Mapping[str, Rate]]
) -> str:
    """Curves of F1 on the left; on the right a row for each condition, with a mark for each limit.

    Args:
        name: makes the ids of the drawing.
        curves: list of weaknesses -> (size, F1).
        named: limit -> condition -> the share of the faults that is named.
    """
    rows = list(dict.fromkeys(at for by in named.values() for at, rate in by.items() if rate.n))
    names = width_of(rows)
    with canvas(name, 0.6 + _CURVES + names + 0.6 + _BARS + 0.2, _HIGH + 1.0) as figure:
        left = axes(figure, 0.6, 0.6, _CURVES, _HIGH)
        for place, (label, points) in enumerate(curves.items()):
            left.plot(*zip(*points, strict=True), linewidth=1.6, color=colour(LINES[place]), label=label)
        left.set_ylim(0, 1)
        left.set_xticks((1, 5, 10, 15, 20))
        left.set_xlabel("size of the profile")
        left.set_title("F1 with the planted weaknesses", fontsize=9, color=colour("ink"))
        left.grid(axis="y", color=colour("rule"))
        if curves:
            left.legend(frameon=False, fontsize=8, labelcolor=colour("ink"))
        right = axes(figure, 0.6 + _CURVES + names + 0.6, 0.6, _BARS, _HIGH)
        right.set_yticks(range(len(rows)), rows)
        right.set_ylim(max(1, len(rows)) - 0.5, -0.5)
        right.set_xlim(0, 1)
        for place, (label, by) in enumerate(named.items()):
            _marks(
                right, [by[at] for at in rows], (place - 1) * 0.2, colour(LINES[place]), label.removeprefix("named ")
            )
        right.set_title("faults named, by limit", fontsize=9, color=colour("ink"))
        right.grid(axis="x", color=colour("rule"))
        if rows:
            right.legend(
                frameon=False,
                fontsize=8,
                labelcolor=colour("ink"),
                loc="upper center",
                bbox_to_anchor=(0.5, -0.08),
                ncol=3,
            )
        return saved(figure)


def _marks(plot: Any, rates: Sequence[Rate], shift: float, shade: str, label: str) -> None:
    for y, rate in enumerate(rates):
        if math.isfinite(rate.value):
            plot.plot([rate.low, rate.high], [y + shift] * 2, linewidth=1.4, color=shade, solid_capstyle="butt")
    known = [(rate.value, y + shift) for y, rate in enumerate(rates) if math.isfinite(rate.value)]
    if known:
        plot.plot(*zip(*known, strict=True), marker="o", markersize=5, linestyle="none", color=shade, label=label)
