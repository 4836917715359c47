"""A reproduction for the terminal: its tables in fixed width, the paper's numbers beside ours, and the verdicts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vlmprobe._util.checks import check_count
from vlmprobe.report.paper.document import Document, document
from vlmprobe.report.table.cells import Cell, Table
from vlmprobe.report.table.format import plain

_LABEL = 24  # characters of a label that are shown


def paper_tables(results: Mapping[str, Any], width: int = 100) -> str:
    """The tables of a reproduction and its claims.

    A cell is `83.4 [80.1, 86.2] | 83.44`: ours with its 95 % interval, and the paper's number. Columns that do not fit
    stand in a block below, with the labels again.

    Args:
        results: what `vlmprobe reproduce` computes.
        width: characters of a line; at least one column is shown in each block, whatever the width.
    Returns:
        Lines without one at the end.
    Raises:
        ValueError: results of another shape; a width below 1.
    """
    check_count("paper_tables", "width", width)
    read = document(results)
    parts = ["\n".join(_table(table, width)) for table in read.tables]
    claims = "\n".join(_claims(read, width))
    return "\n\n".join([*parts, claims] if claims else parts)


def _claims(read: Document, width: int) -> Iterator[str]:
    if read.claims is None:
        return
    yield from textwrap.wrap(read.lead, width)
    wide = max(len(row[-1].text) for row in read.claims.rows)
    for row in read.claims.rows:
        yield from _wrapped(f"  {row[-1].text:<{wide}}  {_text(row[0].text, 200)}", width, " " * (wide + 4))


def _table(table: Table, width: int) -> Iterator[str]:
    yield from _wrapped(_text(table.title, 200), width)
    columns = [_column(table, index) for index in range(len(table.columns))]
    texts = sum(column.text for column in table.columns)
    for block in _blocks(columns[:texts], columns[texts:], width):
        yield from ("  ".join(cells).rstrip() for cells in zip(*block, strict=True))
        yield ""
    for note in table.notes:
        yield from _wrapped(_text(note, 2000), width)


def _column(table: Table, index: int) -> list[str]:
    """A head and its cells, all equally wide; the paper's numbers stand below each other."""
    column = table.columns[index]
    cells = [row[index] for row in table.rows]
    head = _text(column.head, 4 * _LABEL)
    if column.text:
        return _even([head, *map(_label, cells)], "<")
    own = _even([head, *(cell.own for cell in cells)], ">")
    if not column.paper:
        return own
    paper = _even(["paper", *(cell.paper or "" for cell in cells)], ">")
    bars = [" | ", *("   " if cell.paper is None else " | " for cell in cells)]
    return [left + bar + right for left, bar, right in zip(own, bars, paper, strict=True)]


def _even(lines: Sequence[str], side: str) -> list[str]:
    wide = max(map(len, lines))
    return [f"{line:{side}{wide}}" for line in lines]


def _blocks(labels: Sequence[list[str]], numbers: Sequence[list[str]], width: int) -> Iterator[list[list[str]]]:
    """The columns of each block, the labels first."""
    block: list[list[str]] = []
    for column in numbers:
        if block and sum(len(lines[0]) + 2 for lines in [*labels, *block, column]) - 2 > width:
            yield [*labels, *block]
            block = []
        block.append(column)
    if labels or block:
        yield [*labels, *block]


def _label(cell: Cell) -> str:
    return _text(cell.text, _LABEL) + (f" ({cell.remark})" if cell.remark else "")


def _text(value: str, limit: int) -> str:
    return " ".join(plain(value, limit).split())


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, max(width, len(indent) + 10), subsequent_indent=indent) or [""]
