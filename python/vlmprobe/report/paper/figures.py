"""The paper's figures 4 to 7 and its curve of FDR, drawn from results: each with its caption and as SVG.

Where the paper gives no number the drawing says so. A figure without numbers is drawn as a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vlmprobe.report.draw.bars import combinations, shared_skills, skills_per_question
from vlmprobe.report.draw.curve import cumulative
from vlmprobe.report.draw.heat import densities
from vlmprobe.report.draw.scene import questions
from vlmprobe.report.draw.svg import canvas, inline, saved, standalone, write
from vlmprobe.report.table import format

NO_NUMBERS = "No numbers in this run."


@dataclass(frozen=True, kw_only=True)
class PaperFigure:
    """A drawn figure."""

    id: str
    """`figure-4`; also the name of its file."""
    title: str
    caption: str
    svg: str
    """With stand-ins for colours; see `standalone` and `inline`."""
    wide: bool

    @property
    def standalone(self) -> str:
        """The SVG as a file of its own."""
        return standalone(self.svg, self.title)

    @property
    def inline(self) -> str:
        """The SVG inside the page."""
        return inline(self.svg, self.id, self.title)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    title: str
    draw: Callable[[str, Mapping[str, Any]], str]
    parts: str
    """Key of what is drawn; without any there is nothing to draw."""
    caption: Callable[[Mapping[str, Any]], str]
    wide: bool = False


def paper_figures(figures: Mapping[str, Any]) -> list[PaperFigure]:
    """Draws the six figures, those without numbers as a sentence.

    Args:
        figures: `results["figures"]`; a missing figure is one without numbers.
    Raises:
        ValueError: a picture that is not a PNG, values that are no numbers.
        ImportError: matplotlib is missing.
    """
    drawn = []
    for id, kind in _KINDS.items():
        data = figures.get(id) or {}
        found = bool(data.get(kind.parts))
        svg = kind.draw(id, data) if found else _sentence(id, f"{kind.title}. {NO_NUMBERS}")
        caption = kind.caption(data) if found else NO_NUMBERS
        drawn.append(PaperFigure(id=id, title=kind.title, caption=caption, svg=svg, wide=kind.wide))
    return drawn


def _sentence(name: str, text: str) -> str:
    with canvas(name, 6.4, 0.6) as figure:
        write(figure, 0.1, 0.25, text, "muted")
        return saved(figure)


def _heat_caption(data: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{kind} {count}" for kind, count in (data.get("counts") or {}).items())
    return (
        f"{data['method']}, training pool. A row is a skill, a field a window of training steps; its shade: the share "
        "of the window's questions that need the skill, as a part of the row's largest share, which is printed. q: "
        f"against permuted steps, corrected over skills. By class: {counts or format.DASH}. Paper's numbers: not "
        "published."
    )


def _scene_caption(data: Mapping[str, Any]) -> str:
    return (
        f"{data['method']}: the questions that it asked about the picture {data['image']} at stages of its training. "
        "Paper's numbers: not published."
    )


_KINDS: dict[str, _Kind] = {
    "figure-4": _Kind(
        title="Figure 4: skills that methods share, and skills of one method only",
        draw=shared_skills,
        parts="methods",
        caption=lambda _: (
            "Skills above the threshold of questions, at equal n, mean of the seeds. Shared: found by every method; "
            "exclusive: by this one alone. Of the paper's numbers only those of RL and SFT are published."
        ),
    ),
    "figure-5a": _Kind(
        title="Figure 5a: different sets of skills",
        draw=combinations,
        parts="methods",
        caption=lambda _: (
            "Number of different sets of skills that a question needs, at equal n, with 95 % intervals. Paper's "
            "numbers: not published; its text gives RL 3,595 more than the next, SFT."
        ),
    ),
    "figure-5b": _Kind(
        title="Figure 5b: skills that a question needs",
        draw=skills_per_question,
        parts="methods",
        caption=lambda _: (
            "Share of the questions that need one, two, three, four or more skills, with 95 % intervals. Paper's "
            "numbers: not published."
        ),
    ),
    "curve": _Kind(
        title="FDR over cumulative questions",
        draw=cumulative,
        parts="methods",
        caption=lambda _: (
            "Training pool: FDR of all questions asked so far, with 95 % intervals. Rise: second half less first half, "
            "paired by image. Paper's numbers: not published."
        ),
    ),
    "figure-6": _Kind(
        title="Figure 6: skills over training", draw=densities, parts="skills", caption=_heat_caption, wide=True
    ),
    "figure-7": _Kind(
        title="Figure 7: one picture's questions over training",
        draw=questions,
        parts="stages",
        caption=_scene_caption,
        wide=True,
    ),
}
