"""The table that page, Markdown and terminal print, and its cells. Each lays them out in its own way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from vlmprobe.report.results.numbers import UNKNOWN, Interval
from vlmprobe.report.table import format

NOT_PUBLISHED = "not published"
NOT_IN_PAPER = "not in the paper"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: a text, or a number with what belongs to it."""

    text: str
    interval: str = ""
    """Both ends, `80.1, 86.2`, or empty."""
    bar: tuple[float, float, float] | None = None
    """Number and ends of a share, where the page draws them between 0 and 1."""
    paper: str | None = None
    """The paper's number or `not published`; None when the paper has no such row or no such column."""
    remark: str = ""
    """Small print, such as `not in the paper`."""
    verdict: str = ""
    """Of a claim; one of `paper.document.VERDICTS`."""
    finds: str = ""
    """What of the page's questions it leads to: `skill`, `mode`, or `outcome`; its text, or `found`, says which."""
    found: str = ""

    @property
    def known(self) -> bool:
        return self.text != format.DASH

    @property
    def own(self) -> str:
        """`83.4 [80.1, 86.2]`: without the paper's."""
        interval = f" [{self.interval}]" if self.interval else ""
        return self.text + interval + (f" ({self.remark})" if self.remark else "")

    def __str__(self) -> str:
        return self.own if self.paper is None else f"{self.own} | {self.paper}"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's head and how its cells are aligned."""

    head: str
    text: bool = False
    """Words, which come from others; else numbers, which we have made."""
    paper: bool = False
    """The paper's number stands beside ours."""
    size: bool = False
    """An n."""
    key: str = ""
    """What the page's style sheet calls it."""
    group: str = ""
    """Head above those of neighbours that have the same."""
    help: str = ""
    """What it holds, in words."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, ready to print."""

    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    headings: Mapping[int, str] = field(default_factory=dict)
    """Index of a row -> the heading above it."""
    notes: Sequence[str] = field(default=())

    @property
    def paper(self) -> bool:
        """Whether a column has the paper's numbers."""
        return any(column.paper for column in self.columns)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """The heads above the columns, and how many columns each is above; empty when no column has one."""
        found = [(group, len(list(members))) for group, members in groupby(column.group for column in self.columns)]
        return found if any(group for group, _ in found) else []

    def begins(self, index: int) -> bool:
        """Whether a column is the first below its group's head, or has none above it."""
        group = self.columns[index].group
        return not group or index == 0 or group != self.columns[index - 1].group


def words(head: str) -> Column:
    """A column of texts."""
    return Column(head=head, text=True)


def text_cell(value: object) -> Cell:
    """A text; None is a dash."""
    return Cell(text=format.DASH if value is None else str(value))


def estimate_cell(estimate: Interval = UNKNOWN, *, percent: bool = False, digits: int = 1, remark: str = "") -> Cell:
    """A number with the ends of its interval as far as they are known.

    Args:
        estimate: what is not known of it is a dash.
        percent: the numbers are shares, printed times 100.
        digits: decimals.
        remark: small print.
    """

    def shown(end: float | None) -> str:
        return format.decimal(None if end is None else end * (100 if percent else 1), digits)

    known = estimate.low is not None or estimate.high is not None
    interval = f"{shown(estimate.low)}, {shown(estimate.high)}" if known else ""
    return Cell(text=shown(estimate.value), interval=interval, remark=remark)
