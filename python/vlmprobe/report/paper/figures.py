"""The paper's figures 4 to 7 and its curve of FDR, drawn from results: each with its caption and as SVG.

Where the paper gives no number the drawing says so. A figure without numbers is drawn as a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vlmprobe.report.draw.bars import combinations, shared_skills, skills_per_question
from vlmprobe.report.draw.curve import cumulative
from vlmprobe.report.draw.heat import densities
from vlmprobe.report.draw.scene import questions
from vlmprobe.report.draw.svg import canvas, inline, saved, standalone, write
from vlmprobe.report.results.figures import (
    Combinations,
    Curve,
    Densities,
    Figures,
    Scene,
    SharedSkills,
    SkillsPerQuestion,
)
from vlmprobe.report.table import format

Shown = TypeVar("Shown")

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
class _Kind(Generic[Shown]):
    id: str
    title: str
    draw: Callable[[str, Shown], str]
    parts: Callable[[Shown], Sequence[object]]
    """What is drawn; without any there is nothing to draw."""
    caption: Callable[[Shown], str]
    wide: bool = False

    def drawn(self, data: Shown | None) -> PaperFigure:
        if data is None or not self.parts(data):
            svg, caption = _sentence(self.id, f"{self.title}. {NO_NUMBERS}"), NO_NUMBERS
        else:
            svg, caption = self.draw(self.id, data), self.caption(data)
        return PaperFigure(id=self.id, title=self.title, caption=caption, svg=svg, wide=self.wide)


def paper_figures(figures: Figures) -> list[PaperFigure]:
    """Draws the six figures, those without numbers as a sentence.

    Raises:
        ValueError: a picture that is not a PNG.
        ImportError: matplotlib is missing.
    """
    return [
        _FIGURE_4.drawn(figures.shared_skills),
        _FIGURE_5A.drawn(figures.combinations),
        _FIGURE_5B.drawn(figures.skills_per_question),
        _CURVE.drawn(figures.curve),
        _FIGURE_6.drawn(figures.densities),
        _FIGURE_7.drawn(figures.scene),
    ]


def _sentence(name: str, text: str) -> str:
    with canvas(name, 6.4, 0.6) as figure:
        write(figure, 0.1, 0.25, text, "muted")
        return saved(figure)


def _heat_caption(data: Densities) -> str:
    counts = ", ".join(f"{kind} {count}" for kind, count in data.counts.items())
    return (
        f"{data.method}, training pool. A row is a skill, a field a window of training steps; its shade: the share "
        "of the window's questions that need the skill, as a part of the row's largest share, which is printed. q: "
        f"against permuted steps, corrected over skills. By class: {counts or format.DASH}. Paper's numbers: not "
        "published."
    )


def _scene_caption(data: Scene) -> str:
    return (
        f"{data.method}: the questions that it asked about the picture {data.image} at stages of its training. "
        "Paper's numbers: not published."
    )


_FIGURE_4 = _Kind[SharedSkills](
    id="figure-4",
    title="Figure 4: skills that methods share, and skills of one method only",
    draw=shared_skills,
    parts=lambda data: data.methods,
    caption=lambda _: (
        "Skills above the threshold of questions, at equal n, mean of the seeds. Shared: found by every method; "
        "exclusive: by this one alone. Of the paper's numbers only those of RL and SFT are published."
    ),
)
_FIGURE_5A = _Kind[Combinations](
    id="figure-5a",
    title="Figure 5a: different sets of skills",
    draw=combinations,
    parts=lambda data: data.methods,
    caption=lambda _: (
        "Number of different sets of skills that a question needs, at equal n, with 95 % intervals. Paper's "
        "numbers: not published; its text gives RL 3,595 more than the next, SFT."
    ),
)
_FIGURE_5B = _Kind[SkillsPerQuestion](
    id="figure-5b",
    title="Figure 5b: skills that a question needs",
    draw=skills_per_question,
    parts=lambda data: data.methods,
    caption=lambda _: (
        "Share of the questions that need one, two, three, four or more skills, with 95 % intervals. Paper's "
        "numbers: not published."
    ),
)
_CURVE = _Kind[Curve](
    id="curve",
    title="FDR over cumulative questions",
    draw=cumulative,
    parts=lambda data: data.methods,
    caption=lambda _: (
        "Training pool: FDR of all questions asked so far, with 95 % intervals. Rise: second half less first half, "
        "paired by image. Paper's numbers: not published."
    ),
)
_FIGURE_6 = _Kind[Densities](
    id="figure-6",
    title="Figure 6: skills over training",
    draw=densities,
    parts=lambda data: data.skills,
    caption=_heat_caption,
    wide=True,
)
_FIGURE_7 = _Kind[Scene](
    id="figure-7",
    title="Figure 7: one picture's questions over training",
    draw=questions,
    parts=lambda data: data.stages,
    caption=_scene_caption,
    wide=True,
)
