"""Curves over training steps as SVG that stands inside the page and takes its colours, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlmprobe.report.table.format import DASH, decimal, percent


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


# Stand-ins that are replaced by the page's variables after drawing.
_INK, _GRID = "#010203", "#010204"
_SERIES = ("#010205", "#010206", "#010207")
_VARIABLES = {_INK: "var(--muted)", _GRID: "var(--rule)"} | {c: f"var(--series-{i})" for i, c in enumerate(_SERIES)}


def charts(curves: Sequence[Mapping[str, Any]], panels: Sequence[Panel] = PANELS) -> list[Chart]:
    """Draws the panels for which the rows have numbers.

    Args:
        curves: one mapping per training step with `step` and numbers; None, NaN and absent ones are gaps.
        panels: what to draw, at most three lines in each.
    Raises:
        ValueError: a row without `step`, a value that is not a number, a panel with more than three lines.
    """
    for panel in panels:
        if len(panel.series) > len(_SERIES):
            raise ValueError(f"[charts] panel {panel.title!r}: expected at most 3 lines, got {len(panel.series)}")
    steps = np.array([_number(row, "step", index) for index, row in enumerate(curves)])
    if np.isnan(steps).any():
        raise ValueError(f"[charts] curves[{int(np.isnan(steps).argmax())}]: expected a step, got none")
    drawn: list[Chart] = []
    for panel in panels:
        lines = {key: np.array([_number(row, key, i) for i, row in enumerate(curves)]) for key in panel.series}
        lines = {key: line for key, line in lines.items() if np.isfinite(line).any()}
        if lines:
            drawn.append(_draw(panel, steps, lines, name=f"chart{len(drawn)}"))
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


def _draw(panel: Panel, steps: np.ndarray, lines: Mapping[str, np.ndarray], name: str) -> Chart:
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    series = []
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9}):
        figure = Figure(figsize=(4.2, 2.3))
        axes = figure.add_axes((0.11, 0.13, 0.86, 0.82))
        for colour, (key, line) in zip(_SERIES, lines.items(), strict=False):
            mean = smooth(line, window_for(len(steps)))
            axes.plot(steps, line, color=colour, linewidth=0.8, alpha=0.3)
            axes.plot(steps, mean, color=colour, linewidth=1.8, solid_joinstyle="round")
            last = mean[np.isfinite(mean)]
            series.append(
                Series(label=panel.series[key], last=_shown(float(last[-1]), panel.share) if last.size else DASH)
            )
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if panel.share:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
        axes.grid(axis="y", color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, colors=_INK, pad=5)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(_GRID)
        axes.margins(x=0.01, y=0.08)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return Chart(title=panel.title, svg=_inline(buffer.getvalue(), name, panel.title), series=series)


def _shown(value: float, share: bool) -> str:
    return f"{percent(value)} %" if share else decimal(value, 3 if abs(value) < 0.1 else 2)


def _inline(svg: str, name: str, title: str) -> str:
    """The drawing without what only a file of its own needs (head, metadata, name spaces), ids unique in the page."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r'\s(xmlns(:\w+)?|version)="[^"]*"', "", svg)
    svg = re.sub(r'<svg[^>]*?(viewBox="[^"]*")[^>]*>', r'<svg \1 role="img">', svg, count=1)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace('href="#', f'href="#{name}-').replace("url(#", f"url(#{name}-")
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, variable)
    return svg


def _number(row: Mapping[str, Any], key: str, index: int) -> float:
    value = row.get(key)
    if isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
        raise ValueError(f"[charts] curves[{index}] {key}: expected a number or None, got {value!r:.60}")
    return float("nan") if value is None else float(value)
