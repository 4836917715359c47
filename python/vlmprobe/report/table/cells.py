"""Tables of a reproduction as they are printed: our number with its interval and, beside it, the paper's.

The page, the Markdown and the terminal print the same `Table`; each has its own way to lay a cell out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlmprobe.report.table import format

NOT_PUBLISHED = "not published"
NOT_IN_PAPER = "not in the paper"
_LONG = 20  # characters of the head of a column of n


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: a text, or a number with what belongs to it."""

    text: str
    interval: str = ""
    """Both ends, `80.1, 86.2`, or empty."""
    paper: str | None = None
    """The paper's number or `not published`; None when the paper has no such row or no such column."""
    remark: str = ""
    """Small print, such as `not in the paper`."""
    verdict: str = ""
    """Of a claim; one of `paper_document.VERDICTS`."""

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


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, ready to print."""

    id: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default=())

    @property
    def paper(self) -> bool:
        """Whether a column has the paper's numbers."""
        return any(column.paper for column in self.columns)


def words(head: str) -> Column:
    """A column of texts."""
    return Column(head=head, text=True)


def text_cell(value: object) -> Cell:
    """A text; None is a dash."""
    return Cell(text=format.DASH if value is None else str(value))


def estimate_cell(estimate: Mapping[str, Any] | None, *, percent: bool = False, digits: int = 1) -> Cell:
    """An estimate with the ends of its interval as far as they are known.

    Args:
        estimate: `value`, `low`, `high`, each a number or None; None is a dash.
        percent: the numbers are shares, printed times 100.
        digits: decimals.
    Raises:
        ValueError: something other than a number or None.
    """
    value, low, high = (number(estimate or {}, key) for key in ("value", "low", "high"))

    def shown(end: float | None) -> str:
        return format.decimal(None if end is None else end * (100 if percent else 1), digits)

    return Cell(text=shown(value), interval="" if low is None and high is None else f"{shown(low)}, {shown(high)}")


def p_value(value: float | None) -> str:
    """A p- or q-value: `0.012`, `< 0.001`."""
    if value is None or format.missing(value):
        return format.DASH
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def p_text(value: float | None) -> str:
    """`p = 0.012`, `p < 0.001`; empty when it is not known."""
    shown = p_value(value)
    return "" if shown == format.DASH else f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def result_table(table: Mapping[str, Any]) -> Table:
    """One of `results["tables"]`.

    A column for which the paper has a number in no row has no place for one, and a note says so. Columns of n come
    last, one for all numbers whose n agree in every row; an n that is the same in every row is in a note instead.

    Raises:
        ValueError: rows with another number of labels than the table, or values that are no numbers.
    """
    keys = [column["key"] for column in table["columns"]]
    published = [key for key in keys if any(key in row["paper"] for row in table["rows"])]
    titles = {column["key"]: column["title"] for column in table["columns"]}
    columns = [words(label) for label in table["labels"]]
    columns += [Column(head=titles[key], paper=key in published) for key in keys]
    groups = _same_sizes(table, keys)
    varying = {sizes: group for sizes, group in groups.items() if len(set(sizes)) > 1}
    columns += [Column(head=head, size=True) for head in _size_heads(list(varying.values()), keys, titles)]
    rows = [
        _row(table, row, published) + [Cell(text=sizes[index]) for sizes in varying]
        for index, row in enumerate(table["rows"])
    ]
    constant = [(sizes[0], group) for sizes, group in groups.items() if len(set(sizes)) == 1]
    notes = [*map(str, table.get("notes") or ()), *_size_notes(constant, keys, titles)]
    notes += _paper_notes(table, keys, published, titles)
    return Table(id=str(table["id"]), title=str(table["title"]), columns=columns, rows=rows, notes=notes)


def _row(table: Mapping[str, Any], row: Mapping[str, Any], published: Sequence[str]) -> list[Cell]:
    if len(row["labels"]) != len(table["labels"]):
        raise ValueError(
            f"[report] {table['id']}: expected {len(table['labels'])} labels in a row, got {len(row['labels'])}"
        )
    cells = [text_cell(label) for label in row["labels"]]
    if not row["paper"] and published and cells:
        cells[-1] = Cell(text=cells[-1].text, remark=NOT_IN_PAPER)
    for column in table["columns"]:
        key, percent, digits = column["key"], bool(column.get("percent")), int(column.get("digits", 1))
        own = estimate_cell(row["ours"].get(key), percent=percent, digits=digits)
        beside = _paper(row["paper"], key, whole=digits == 0) if row["paper"] and key in published else None
        cells.append(Cell(text=own.text, interval=own.interval, paper=beside))
    return cells


def _paper(numbers: Mapping[str, Any], key: str, *, whole: bool) -> str:
    """The paper's number as printed there: counts whole, everything else with two decimals or more."""
    value = number(numbers, key)
    if value is None:
        return NOT_PUBLISHED
    decimals = len(repr(float(value)).partition(".")[2])
    return f"{value:.0f}" if whole and value == int(value) else f"{value:.{max(2, decimals)}f}"


def _paper_notes(
    table: Mapping[str, Any], keys: Sequence[str], published: Sequence[str], titles: Mapping[str, str]
) -> list[str]:
    if not any(row["paper"] for row in table["rows"]):
        return ["The paper has no such table."]
    missing = [titles[key] for key in keys if key not in published]
    return [f"Not published for any row: {', '.join(missing)}."] if missing else []


def _same_sizes(table: Mapping[str, Any], keys: Sequence[str]) -> dict[tuple[str, ...], list[str]]:
    """n in each row -> the keys that have it; keys without any n are left out."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for key in keys:
        sizes = tuple(format.count(number(row["ours"].get(key) or {}, "n")) for row in table["rows"])
        if any(size != format.DASH for size in sizes):
            groups.setdefault(sizes, []).append(key)
    return groups


def _size_heads(groups: Sequence[Sequence[str]], keys: Sequence[str], titles: Mapping[str, str]) -> list[str]:
    """`n` when it is of all numbers; of several groups the one with the longest names is the rest."""
    if [len(group) for group in groups] == [len(keys)]:
        return ["n"]
    heads = [f"n of {_names(group, titles)}" for group in groups]
    longest = max(heads, key=len, default="")
    return ["n of the rest" if len(heads) > 1 and head == longest and len(head) > _LONG else head for head in heads]


def _size_notes(
    constant: Sequence[tuple[str, Sequence[str]]], keys: Sequence[str], titles: Mapping[str, str]
) -> list[str]:
    """One sentence on the n that are the same in every row."""
    told = [n if len(group) == len(keys) else f"{n} of {_names(group, titles)}" for n, group in constant]
    return [f"n in every row: {'; '.join(told)}."] if told else []


def _names(group: Sequence[str], titles: Mapping[str, str]) -> str:
    return ", ".join(titles[key].removesuffix(" %") for key in group)


def number(numbers: Mapping[str, Any], key: str) -> float | None:
    """The number under `key`; None when it is missing, None, NaN or infinite.

    Raises:
        ValueError: something else.
    """
    value = numbers.get(key)
    if isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
        raise ValueError(f"[report] {key}: expected a number or None, got {value!r:.60}")
    return None if value is None or not math.isfinite(value) else value
