"""Small plots below each other over the same steps, such as the terms of a reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe.report.draw.svg import LINES, axes, canvas, colour, saved, width_of, write
from vlmprobe.report.table.format import line

_WIDTH, _HIGH, _GAP = 6.4, 1.1, 0.42  # inches
_NAME = 24  # characters


Point = tuple[float, float, int]
"""Step, value, and of how many that is the mean."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One of the plots."""

    title: str
    lines: Mapping[str, Sequence[Point]]
    """Name -> its points; a step whose value is not known has none."""
    marks: Sequence[float] = ()
    """Steps at which something is to be seen, such as an alarm."""


def over_steps(name: str, panels: Sequence[Panel]) -> str:
    """The panels, the first on top; the names of lines stand to the right of them."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    right = width_of([line(each, _NAME) for panel in panels for each in panel.lines]) + 0.45
    steps = [step for panel in panels for points in panel.lines.values() for step, _, _ in points]
    with canvas(name, _WIDTH, (_HIGH + _GAP) * len(panels) + 0.45) as figure:
        top = (_HIGH + _GAP) * len(panels) + 0.4
        for place, panel in enumerate(panels):
            top -= _HIGH + _GAP
            plot = axes(figure, 0.65, top + 0.05, _WIDTH - 0.65 - right, _HIGH)
            plot.set_title(panel.title, fontsize=9, color=colour("ink"), loc="left")
            plot.set_xlim(min(steps), max(max(steps), min(steps) + 1))
            plot.xaxis.set_major_locator(MaxNLocator(8, integer=True))
            plot.yaxis.set_major_locator(MaxNLocator(4))
            plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
            plot.grid(axis="y", color=colour("rule"))
            for mark in panel.marks:
                plot.axvline(mark, color=colour("failure"), linewidth=0.8, linestyle=":")
            for index, (each, points) in enumerate(panel.lines.items()):
                _line(figure, plot, index, each, points, (_WIDTH - right + 0.12, top + _HIGH - 0.12 - 0.19 * index))
            if place < len(panels) - 1:
                plot.set_xticklabels([])
        plot.set_xlabel("step")
        return saved(figure)


def _line(figure: Any, plot: Any, index: int, name: str, points: Sequence[Point], place: tuple[float, float]) -> None:
    again, which = divmod(index, len(LINES))
    look = {"color": colour(LINES[which]), "linestyle": "--" if again else "-"}
    marker = "o" if len(points) < 3 else None
    steps, values, _ = zip(*points, strict=True)
    plot.plot(steps, values, linewidth=1.3, marker=marker, markersize=3, **look)
    if name:
        left, bottom = place
        write(figure, left, bottom, "■", LINES[which], fontsize=8)
        write(figure, left + 0.14, bottom, line(name, _NAME), fontsize=8)
