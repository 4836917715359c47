"""Curves over training steps as SVG that stands inside the page and takes its colours, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlmprobe.report.draw.svg import LINES, axes, canvas, colour, inline, saved
from vlmprobe.report.results.demo import Curves
from vlmprobe.report.table.format import decimal, percent


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One small chart: its title, and key -> label of the rows' numbers drawn in it."""

    title: str
    series: Mapping[str, str]
    share: bool = False
    """Numbers are shares, shown as percent."""


PANELS: tuple[Panel, ...] = (
    Panel(title="Failures among valid questions (FDR)", series={"fdr": "FDR"}, share=True),
    Panel(title="Valid questions (QVR)", series={"qvr": "QVR"}, share=True),
    Panel(title="Mean reward", series={"reward": "reward"}),
    Panel(title="Novelty terms", series={"semantic": "semantic", "lexical": "lexical", "coverage": "coverage"}),
    Panel(
        title="Effective families",
        series={"effective_families": "questions", "effective_failure_families": "failures"},
    ),
    Panel(title="KL to the reference", series={"kl": "KL"}),
)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line of a chart, for its legend."""

    label: str
    last: str
    """Its smoothed value at the last step, as printed."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawn panel."""

    title: str
    svg: str
    series: Sequence[Series]


COLOURS = LINES[:3]
_WIDTH, _HEIGHT = 4.2, 2.3  # inches


def charts(curves: Curves, panels: Sequence[Panel] = PANELS) -> list[Chart]:
    """Draws the panels for which the curves have numbers.

    Args:
        curves: NaN is a gap.
        panels: what to draw, at most three lines in each.
    Raises:
        ValueError: a panel with more than three lines.
    """
    for panel in panels:
        if len(panel.series) > len(COLOURS):
            raise ValueError(f"[charts] panel {panel.title!r}: expected at most 3 lines, got {len(panel.series)}")
    drawn: list[Chart] = []
    for panel in panels:
        lines = {key: np.array(curves.lines.get(key, ()), dtype=float) for key in panel.series}
        lines = {key: line for key, line in lines.items() if np.isfinite(line).any()}
        if lines:
            drawn.append(_draw(panel, curves.steps, lines, name=f"chart{len(drawn)}"))
    return drawn


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` values, fewer at the start; gaps are left out, and only gaps give NaN."""
    known = np.isfinite(values)
    sums, counts = np.cumsum(np.where(known, values, 0.0)), np.cumsum(known)
    sums[window:], counts[window:] = sums[window:] - sums[:-window], counts[window:] - counts[:-window]
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def window_for(steps: int) -> int:
    """Steps in a running mean: a twentieth of the run."""
    return max(1, round(steps / 20))


def _draw(panel: Panel, steps: Sequence[int], lines: Mapping[str, np.ndarray], name: str) -> Chart:
    means = {key: smooth(line, window_for(len(steps))) for key, line in lines.items()}
    with canvas(name, _WIDTH, _HEIGHT) as figure:
        plot = axes(figure, 0.46, 0.3, _WIDTH - 0.6, _HEIGHT - 0.42)
        for role, (key, line) in zip(COLOURS, lines.items(), strict=False):
            plot.plot(steps, line, color=colour(role), linewidth=0.8, alpha=0.3)
            plot.plot(steps, means[key], color=colour(role), linewidth=1.8, solid_joinstyle="round")
        _grid(plot, panel.share)
        svg = inline(saved(figure), name, panel.title)
    series = [
        Series(label=panel.series[key], last=_shown(float(mean[np.isfinite(mean)][-1]), panel.share))
        for key, mean in means.items()
    ]
    return Chart(title=panel.title, svg=svg, series=series)


def _grid(plot: Any, share: bool) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    plot.yaxis.set_major_locator(MaxNLocator(4))
    plot.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if share:
        plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    plot.grid(axis="y", color=colour("rule"), linewidth=0.8)
    plot.tick_params(colors=colour("muted"))
    plot.margins(x=0.01, y=0.08)


def _shown(value: float, share: bool) -> str:
    return f"{percent(value)} %" if share else decimal(value, 3 if abs(value) < 0.1 else 2)
