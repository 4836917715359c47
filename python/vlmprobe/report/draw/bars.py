"""Figures 4, 5a and 5b: methods as rows, numbers of skills as bars and points with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlmprobe.report.draw.svg import axes, canvas, colour, saved, width_of, write
from vlmprobe.report.results.figures import Combinations, MethodSkills, PaperSkills, SharedSkills, SkillsPerQuestion
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import NOT_PUBLISHED, estimate_cell

_ROW = 0.34  # inches
_WIDTH = 6.4
_NAME = 28  # characters


def shared_skills(name: str, data: SharedSkills, *, paper: bool = True) -> str:
    """Figure 4: skills of each method, stacked from shared to exclusive; `paper`: with the paper's numbers."""
    methods = data.methods
    names, left, height = _rows([method.name for method in methods])
    theirs = [_paper_skills(method.paper) if paper else "" for method in methods]
    right = max(width_of([*theirs, "paper"]), 1.0) + 0.55
    with canvas(name, _WIDTH, height + 1.1) as figure:
        plot = _plot(figure, left, _WIDTH - left - right, names, height, 0.75)
        for y, method in enumerate(methods):
            _stack(plot, y, method, theirs[y])
        if paper:
            _paper_head(plot, len(methods))
        plot.set_xlabel("number of skills")
        plot.set_xlim(0, max(method.skills or 1 for method in methods) * 1.02)
        plot.grid(axis="x", color=colour("rule"))
        for role, (text, at) in zip(
            _PARTS, (("shared", left), ("some methods", left + 0.9), ("exclusive", left + 2.2)), strict=True
        ):
            write(figure, at, 0.1, "■", role, fontsize=11)
            write(figure, at + 0.16, 0.115, text, "muted")
        return saved(figure)


_PARTS = ("muted", "line-5", "line-1")


def _stack(plot: Any, y: int, method: MethodSkills, paper: str) -> None:
    total, shared, exclusive = method.skills, method.shared, method.exclusive
    start = 0.0
    if total is not None and shared is not None and exclusive is not None:
        exclusive = min(exclusive, total - shared)  # a method alone shares all its skills with itself
        for role, count in zip(_PARTS, (shared, total - shared - exclusive, exclusive), strict=True):
            if count > 0:
                plot.barh(y, count, left=start, height=0.62, color=colour(role), linewidth=0)
                _inside(plot, start + count / 2, y, count, total)
                start += count
    elif total is not None:
        plot.barh(y, total, height=0.62, color=colour("rule"), linewidth=0)
    _beside(plot, 1.03, y, format.count(total), weight="bold")
    _beside(plot, 1.03 + _column(plot), y, paper, role="muted")


def _inside(plot: Any, x: float, y: int, count: float, total: float) -> None:
    if count >= 0.06 * total:
        plot.text(x, y, f"{count:.0f}", ha="center", va="center", fontsize=8, color=colour("ground"))


def _column(plot: Any) -> float:
    """Half an inch as a part of the plot's width."""
    return float(0.45 / (plot.get_position().width * plot.figure.get_size_inches()[0]))


def _beside(plot: Any, x: float, y: float, text: str, role: str = "ink", **options: Any) -> None:
    plot.text(x, y, text, transform=plot.get_yaxis_transform(), va="center", color=colour(role), **options)


def _paper_head(plot: Any, rows: int) -> None:
    _beside(plot, 1.03, -0.85, "ours", role="muted", fontsize=8)
    _beside(plot, 1.03 + _column(plot), -0.85, "paper", role="muted", fontsize=8)


def _paper_skills(paper: PaperSkills) -> str:
    if paper.skills is None:
        return NOT_PUBLISHED
    exclusive = "" if paper.exclusive is None else f", {format.count(paper.exclusive)} exclusive"
    return format.count(paper.skills) + exclusive


def combinations(name: str, data: Combinations, *, paper: bool = True) -> str:
    """Figure 5a: different sets of skills, bars from 0 with intervals; `paper`: says that it gives no numbers."""
    methods = data.methods
    names, left, height = _rows([method.name for method in methods])
    texts = [_with_size(method.combinations) for method in methods]
    right = width_of(texts) + 0.3
    with canvas(name, _WIDTH, height + 0.95) as figure:
        plot = _plot(figure, left, _WIDTH - left - right, names, height, 0.6)
        for y, method in enumerate(methods):
            value = method.combinations.value
            if value is not None:
                plot.barh(y, value, height=0.62, color=colour("line-0"), alpha=0.5, linewidth=0)
                _whisker(plot, y, method.combinations)
            _beside(plot, 1.03, y, texts[y])
        if paper:
            _beside(plot, 1.03, -0.85, f"ours; paper: {NOT_PUBLISHED}", role="muted", fontsize=8)
        plot.set_xlim(left=0)
        plot.set_xlabel("number of different sets of skills")
        plot.grid(axis="x", color=colour("rule"))
        return saved(figure)


def skills_per_question(name: str, data: SkillsPerQuestion, *, paper: bool = True) -> str:
    """Figure 5b: a panel for each number of skills, the methods' shares as points with intervals; `paper`: as above."""
    methods = data.methods
    names, left, height = _rows([method.name for method in methods])
    counts = max(len(method.shares) for method in methods)
    wide = (_WIDTH - left - 0.2) / counts
    with canvas(name, _WIDTH, height + 1.15) as figure:
        top = max((_reach(share) for method in methods for share in method.shares), default=0.0) or 1.0
        for panel in range(counts):
            plot = _plot(
                figure, left + panel * wide, wide - 0.15, names if not panel else None, height, 0.6, len(methods)
            )
            for y, method in enumerate(methods):
                if panel < len(method.shares):
                    _point(plot, y, method.shares[panel])
            plot.set_title(_skills(panel + 1, last=panel + 1 == counts), fontsize=9, color=colour("ink"))
            _percent_axis(plot, top)
        write(figure, left, 0.1, "share of questions, %" + (f" (paper: {NOT_PUBLISHED})" if paper else ""), "muted")
        return saved(figure)


def _skills(count: int, last: bool) -> str:
    if last:
        return f"{count} or more skills"
    return "1 skill" if count == 1 else f"{count} skills"


def _percent_axis(plot: Any, top: float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    plot.set_xlim(0, min(1.0, 1.08 * top) * 1.02)
    plot.xaxis.set_major_locator(MaxNLocator(3))
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}"))
    plot.grid(axis="x", color=colour("rule"))
    plot.hlines(range(len(plot.get_yticks())), 0, 1, color=colour("rule"), linewidth=0.5, zorder=0)


def _point(plot: Any, y: int, estimate: Estimate) -> None:
    if estimate.value is None:
        plot.text(0, y, f" {format.DASH}", va="center", color=colour("muted"))
        return
    _whisker(plot, y, estimate)
    plot.plot([estimate.value], [y], marker="o", markersize=4.5, color=colour("line-0"), linewidth=0)


def _whisker(plot: Any, y: int, estimate: Estimate) -> None:
    if estimate.low is not None and estimate.high is not None:
        plot.plot([estimate.low, estimate.high], [y, y], color=colour("ink"), linewidth=1.2, solid_capstyle="butt")


def _reach(estimate: Estimate) -> float:
    return max(estimate.value or 0.0, estimate.high or 0.0)


def _with_size(estimate: Estimate) -> str:
    size = "" if estimate.n is None else f", n {format.count(estimate.n)}"
    return f"{estimate_cell(estimate, digits=0)}{size}"


def _rows(methods: Sequence[str]) -> tuple[list[str], float, float]:
    """Names as they are shown, inches left of the plot, and inches of its height."""
    names = [format.line(name, _NAME) for name in methods]
    return names, width_of(names) + 0.25, _ROW * len(names)


def _plot(
    figure: Any, left: float, width: float, names: Sequence[str] | None, height: float, bottom: float, rows: int = 0
) -> Any:
    """Axes with a row for each name, the first on top; without names the rows only."""
    plot = axes(figure, left, bottom, width, height)
    rows = rows if names is None else len(names)
    plot.set_yticks(range(rows), [""] * rows if names is None else list(names))
    plot.set_ylim(rows - 0.5, -0.5)
    return plot
