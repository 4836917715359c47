"""The curve of the paper's appendix: FDR over the cumulative questions of the training pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlmprobe.report.draw.svg import LINES, axes, canvas, colour, saved, write
from vlmprobe.report.results.figures import Curve, MethodCurve
from vlmprobe.report.results.numbers import Difference
from vlmprobe.report.table.cells import NOT_PUBLISHED, estimate_cell
from vlmprobe.report.table.format import line, p_text, percent

_WIDTH, _PLOT, _LINE = 6.4, 2.5, 0.21  # inches
_MARKERS = "os^DvPX*"


def cumulative(name: str, data: Curve, *, paper: bool = True) -> str:
    """A line with a band for each method, told apart by colour and marker, and its rise in the legend; `paper`: says
    that it gives no numbers."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    methods = data.methods
    legend = _LINE * (len(methods) + 1)
    with canvas(name, _WIDTH, _PLOT + legend + 0.95) as figure:
        plot = axes(figure, 0.65, legend + 0.75, _WIDTH - 0.8, _PLOT)
        for index, method in enumerate(methods):
            style = _style(index)
            _line(plot, method, style)
            _legend(figure, method, style, legend - _LINE * index)
        if paper:
            write(
                figure, 0.65, legend - _LINE * len(methods), f"Paper's numbers: {NOT_PUBLISHED}.", "muted", fontsize=8
            )
        plot.set_xlabel("questions asked so far")
        plot.set_ylabel("FDR, %")
        plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        plot.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
        plot.set_ylim(0, _top(methods))
        plot.grid(axis="y", color=colour("rule"))
        return saved(figure)


def _top(methods: Sequence[MethodCurve]) -> float:
    """Of the axis: all values and the later halves of the bands; the first questions' bands are as wide as the axis."""
    values = [point.value for method in methods for point in method.points]
    later = [point for method in methods for point in method.points[len(method.points) // 2 :]]
    ends = [*values, *(point.high for point in later)]
    return min(1.0, 1.05 * max((end for end in ends if end), default=1.0))


def _style(index: int) -> dict[str, Any]:
    """Colour and marker of a method's line; from the ninth on the same again, dashed."""
    again, place = divmod(index, len(LINES))
    look = {"color": colour(LINES[place]), "marker": _MARKERS[place], "linestyle": "--" if again else "-"}
    return {**look, "linewidth": 1.6, "markersize": 3.5}


def _line(plot: Any, method: MethodCurve, style: dict[str, Any]) -> None:
    points = [point for point in method.points if point.value is not None]
    plot.plot([point.asked for point in points], [point.value for point in points], **style)
    known = [point for point in points if point.low is not None and point.high is not None]
    ends = [point.low for point in known], [point.high for point in known]
    plot.fill_between([point.asked for point in known], *ends, color=style["color"], alpha=0.13, linewidth=0)


def _legend(figure: Any, method: MethodCurve, style: dict[str, Any], bottom: float) -> None:
    from matplotlib.lines import Line2D

    wide, high = figure.get_size_inches()
    figure.add_artist(Line2D([0.65 / wide, 0.9 / wide], [(bottom + 0.045) / high] * 2, **style))
    write(figure, 1.05, bottom, line(method.name, 28))
    write(figure, 3.1, bottom, rise(method.rise), "muted")


def rise(found: Difference) -> str:
    """`rise +12.3 points [8.0, 16.1], p < 0.001`."""
    cell, p = estimate_cell(found, percent=True), p_text(found.p)
    sign = "+" if found.value is not None and found.value >= 0 and percent(found.value) != "0.0" else ""
    return f"rise {sign}{cell.text} points" + (f" [{cell.interval}]" if cell.interval else "") + (f", {p}" if p else "")
