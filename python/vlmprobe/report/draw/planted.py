"""Faults detected over the answerer calls: the figure of a demo, and that of PlantedBench with its differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vlmprobe.report.draw.svg import LINES, axes, canvas, colour, saved, width_of
from vlmprobe.studies.plantedbench.compare import MethodResult

MEASURE = "detected_10"
Points = Sequence[tuple[int, float]]
"""(answerer calls, faults detected with at least ten pairs)."""
_HIGH, _CURVES, _BARS = 2.9, 3.6, 2.1  # inches
_WIDE, _LOW = 9.6, 2.4  # inches of the curves where they stand alone


def detected(name: str, lines: Sequence[Points], planted: int) -> str:
    """A curve for each way of asking, in the colours of `LINES`."""
    from matplotlib.ticker import StrMethodFormatter

    with canvas(name, _WIDE + 0.6, _LOW + 0.6) as figure:
        plot = axes(figure, 0.35, 0.5, _WIDE, _LOW)
        _curves(plot, lines, planted)
        plot.margins(x=0)
        plot.set_yticks(range(0, planted + 1, max(1, planted // 5)))
        plot.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        return saved(figure)


def planted(name: str, methods: Sequence[MethodResult]) -> str:
    """Curves on the left, differences with their intervals on the right, a colour for each method."""
    names = width_of([method.method for method in methods])
    with canvas(name, 0.6 + _CURVES + names + 0.5 + _BARS + 0.2, _HIGH + 0.8) as figure:
        left = axes(figure, 0.6, 0.6, _CURVES, _HIGH)
        _curves(left, [method.curve for method in methods], max(1.0, *(method.reachable for method in methods)))
        left.set_title("faults detected, 10 pairs or more", fontsize=9, color=colour("ink"))
        right = axes(figure, 0.6 + _CURVES + names + 0.5, 0.6, _BARS, _HIGH)
        right.set_yticks(range(len(methods)), [method.method for method in methods])
        right.set_ylim(len(methods) - 0.5, -0.5)
        for index, method in enumerate(methods):
            _difference(right, index, method)
        right.axvline(0, color=colour("muted"), linewidth=0.8)
        right.set_title("more than the base method", fontsize=9, color=colour("ink"))
        right.grid(axis="x", color=colour("rule"))
        return saved(figure)


def _curves(plot: Any, lines: Sequence[Points], top: float) -> None:
    for index, points in enumerate(lines):
        plot.plot(*zip(*points, strict=True), drawstyle="steps-post", linewidth=1.6, **_colour(index))
    plot.set_ylim(0, top)
    plot.set_xlabel("answerer calls")
    plot.grid(axis="y", color=colour("rule"))


def _colour(index: int) -> dict[str, Any]:
    again, place = divmod(index, len(LINES))
    return {"color": colour(LINES[place]), "linestyle": "--" if again else "-"}


def _difference(plot: Any, y: int, method: MethodResult) -> None:
    found = method.differences.get(MEASURE)
    value = 0.0 if found is None else found.value
    if found is not None and math.isfinite(found.low) and math.isfinite(found.high):
        plot.plot([found.low, found.high], [y, y], linewidth=1.4, solid_capstyle="butt", **_colour(y))
    plot.plot([value], [y], marker="o" if found is not None else "|", markersize=5, **_colour(y))
