"""A table in fixed width, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vlmprobe.report.table.cells import Cell, Column, Table
from vlmprobe.report.table.format import line

_LABEL = 24  # characters of a label that are shown

Lines = Sequence[str]
"""A column as printed: its head and its cells, all equally wide."""


def blocks(table: Table, width: int) -> list[str]:
    """The table's columns, those that do not fit in a block below, with the labels again.

    A cell is `83.4 [80.1, 86.2] | 83.44`: our number with its interval, and the paper's. When not all columns fit, a
    group of columns begins a block of its own.

    Args:
        table: of texts first, which are the labels, then of numbers.
        width: characters of a line; at least one column is shown in each block, whatever the width.
    Returns:
        The blocks, each of several lines without one at the end.
    """
    columns = [_column(table, index) for index in range(len(table.columns))]
    texts = sum(column.text for column in table.columns)
    labels = columns[:texts]
    space = width - sum(_wide(label) + 2 for label in labels)
    shown = [[*labels, *block] for block in _divided(table.columns[texts:], columns[texts:], space)]
    return ["\n".join("  ".join(cells).rstrip() for cells in zip(*block, strict=True)) for block in shown]


def _column(table: Table, index: int) -> Lines:
    """A head and its cells; the paper's numbers stand below each other."""
    column = table.columns[index]
    cells = [row[index] for row in table.rows]
    head = line(column.head, 4 * _LABEL)
    if column.text:
        return _even([head, *map(_label, cells)], "<")
    own = _even([head, *(cell.own for cell in cells)], ">")
    if not column.paper:
        return own
    paper = _even(["paper", *(cell.paper or "" for cell in cells)], ">")
    bars = [" | ", *("   " if cell.paper is None else " | " for cell in cells)]
    return [left + bar + right for left, bar, right in zip(own, bars, paper, strict=True)]


def _even(lines: Sequence[str], side: str) -> Lines:
    wide = max(map(len, lines))
    return [f"{each:{side}{wide}}" for each in lines]


def _divided(heads: Sequence[Column], columns: Sequence[Lines], space: int) -> Iterator[list[Lines]]:
    """The columns of numbers in each block."""
    whole = _fit(columns, space)
    block: list[Lines] = []
    for index, column in enumerate(columns):
        begins = index > 0 and heads[index].group != heads[index - 1].group
        if block and not whole and (begins or not _fit([*block, column], space)):
            yield block
            block = []
        block.append(column)
    yield block


def _fit(columns: Sequence[Lines], space: int) -> bool:
    return sum(_wide(column) + 2 for column in columns) - 2 <= space


def _wide(column: Lines) -> int:
    return len(column[0])


def _label(cell: Cell) -> str:
    return line(cell.text, _LABEL) + (f" ({cell.remark})" if cell.remark else "")
