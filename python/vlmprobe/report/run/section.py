"""What a page is made of: sections with sentences, tables, charts and cards, each where the run has the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vlmprobe.report.draw.svg import inline, standalone
from vlmprobe.report.page.cards import FailureCard
from vlmprobe.report.table.cells import Table


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A drawing, with what was drawn."""

    id: str
    title: str
    svg: str
    """With stand-ins for colours; see `vlmprobe.report.draw.svg`."""
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    """[rows][head] numbers and texts; None is unknown."""
    caption: str = ""
    legend: Sequence[tuple[str, str]] = ()
    """Name and number of each line, in the order of the colours."""

    @property
    def drawn(self) -> str:
        """The SVG inside the page."""
        return inline(self.svg, self.id, self.title)

    @property
    def width(self) -> int:
        """Pixels at which its letters have the size of the page's."""
        found = re.search(r'viewBox="0 0 ([\d.]+) ', self.svg)
        return round(1.42 * float(found[1])) if found else 900

    @property
    def file(self) -> str:
        """The SVG as a file of its own."""
        return standalone(self.svg, self.title)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cards below a heading."""

    words: str
    shown: Sequence[FailureCard]
    total: int = 0
    """How many there are; 0: those that are shown."""
    mode: str = ""
    """Id of the mode whose questions these are."""
    then: str = ""
    """What a person would do next."""
    more: Sequence[str] = ()
    """What else is known, below the cards."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page."""

    id: str
    title: str
    size: str = ""
    """How much of it there is, beside the title."""
    sentences: Sequence[str] = ()
    steps: Sequence[str] = ()
    """What to do, one after the other."""
    tables: Sequence[Table] = ()
    kind: str = "comparison"
    """Class of its tables."""
    charts: Sequence[Chart] = ()
    groups: Sequence[Group] = ()
    notes: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.sentences or self.steps or self.tables or self.charts or self.groups or self.notes)
