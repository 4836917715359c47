"""Figure 6: how dense each skill is in the windows of training, by class, as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from vlmprobe.report.draw.svg import axes, canvas, colour, saved, width_of, write
from vlmprobe.report.results.figures import Densities, SkillDensity
from vlmprobe.report.table.cells import NOT_PUBLISHED
from vlmprobe.report.table.format import DASH, count, line, p_value, small_percent

_KINDS = ("early", "late", "persistent", "undecided")
_SHOWN = 12  # skills of a class
_NAME = 40  # characters
_WIDTH, _ROW, _HEAD = 9.4, 0.2, 0.38  # inches
_COLUMNS = (("largest %", 0.75), ("q", 0.6), ("n", 0.55))


def densities(name: str, data: Densities, *, paper: bool = True) -> str:
    """A block of rows for each class; of a class the skills with the smallest q, at most twelve. `paper`: says that it
    gives no numbers."""
    blocks = _blocks(data.skills)
    left = width_of([line(skill.skill, _NAME) for _, _, skills in blocks for skill in skills]) + 0.25
    right = sum(width for _, width in _COLUMNS) + 0.2
    heights = [_HEAD + _ROW * len(skills) for _, _, skills in blocks]
    with canvas(name, _WIDTH, sum(heights) + 0.85) as figure:
        top = sum(heights) + 0.8
        for (kind, total, skills), height in zip(blocks, heights, strict=True):
            _block(figure, kind, total, skills, left, _WIDTH - left - right, top)
            top -= height
        _steps(figure, data.steps, left, _WIDTH - left - right, top, paper)
        return saved(figure)


def _blocks(skills: Sequence[SkillDensity]) -> list[tuple[str, int, list[SkillDensity]]]:
    """Class, number of its skills, and those shown."""

    def rank(skill: SkillDensity) -> tuple[int, str, float, str]:
        place = _KINDS.index(skill.kind) if skill.kind in _KINDS else len(_KINDS)
        return place, skill.kind, 1.0 if skill.q is None else skill.q, skill.skill

    ordered = groupby(sorted(skills, key=rank), key=lambda skill: skill.kind)
    blocks = [(kind, list(members)) for kind, members in ordered]
    return [(kind, len(members), members[:_SHOWN]) for kind, members in blocks]


def _block(
    figure: Any, kind: str, total: int, skills: Sequence[SkillDensity], left: float, width: float, top: float
) -> None:
    shown = "" if len(skills) == total else f", {len(skills)} of them shown"
    write(
        figure, 0.1, top - 0.22, f"{line(kind, _NAME)}: {total} skill{'' if total == 1 else 's'}{shown}", weight="bold"
    )
    at = left + width + 0.1
    for head, wide in _COLUMNS:
        write(figure, at + wide - 0.1, top - 0.22, head, "muted", ha="right", fontsize=8)
        at += wide
    height = _ROW * len(skills)
    plot = axes(figure, left, top - _HEAD + 0.08 - height, width, height)
    windows = max(len(skill.densities) for skill in skills)
    for y, skill in enumerate(skills):
        _row(plot, y, skill, windows)
        _numbers(figure, skill, left + width + 0.1, top - _HEAD + 0.08 - (y + 0.5) * _ROW)
    plot.set_yticks(range(len(skills)), [line(skill.skill, _NAME) for skill in skills])
    plot.set_ylim(len(skills) - 0.5, -0.5)
    plot.set_xlim(0, windows)
    plot.set_xticks([])
    plot.spines["bottom"].set_visible(False)


def _row(plot: Any, y: int, skill: SkillDensity, windows: int) -> None:
    """A field for each window, as opaque as its density is near the row's largest; a dot where it is not known."""
    known = [density for density in skill.densities if density is not None]
    largest = max(known, default=0.0)
    for x, density in enumerate(skill.densities):
        if density is None:
            plot.text(x + 0.5, y, "·", ha="center", va="center", color=colour("muted"))
            continue
        plot.barh(y, 0.96, left=x + 0.02, height=0.88, color=colour("rule"), linewidth=0, alpha=0.5)
        if largest > 0 and density > 0:
            plot.barh(y, 0.96, left=x + 0.02, height=0.88, color=colour("line-0"), linewidth=0, alpha=density / largest)


def _numbers(figure: Any, skill: SkillDensity, left: float, middle: float) -> None:
    known = [density for density in skill.densities if density is not None]
    texts = (small_percent(max(known)) if known else DASH, p_value(skill.q), count(skill.n))
    for (_, wide), text in zip(_COLUMNS, texts, strict=True):
        write(figure, left + wide - 0.1, middle, text, "muted", ha="right", va="center", fontsize=8)
        left += wide


def _steps(figure: Any, steps: Sequence[int], left: float, width: float, top: float, paper: bool) -> None:
    """The axis below the last block."""
    from matplotlib.ticker import MaxNLocator

    plot = axes(figure, left, top - 0.02, width, 0.02)
    plot.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    plot.set_yticks([])
    plot.set_xlim(steps[0], max(steps[1], steps[0] + 1))
    plot.set_xlabel("training step")
    plot.tick_params(labelsize=8)
    shade = "Shade: the share of a window's questions that need the skill, as a part of the row's largest."
    write(
        figure, 0.1, top - 0.68, shade + (f" Paper's numbers: {NOT_PUBLISHED}." if paper else ""), "muted", fontsize=8
    )
