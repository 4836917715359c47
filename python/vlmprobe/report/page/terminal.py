"""The comparison as a table of fixed width, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from vlmprobe.report.page import columns
from vlmprobe.report.page.columns import Cell, Column, Run
from vlmprobe.report.table.format import plain

_NAME = 20  # characters of a run's name that are shown


def comparison(summary: Mapping[str, Any], *, width: int = 100) -> str:
    """The summary's table, a metric per line and a run per column; runs that do not fit stand in a block below.

    Rates come with their interval, `31.2 [28.9, 33.6]`; what is not known is `–`.

    Args:
        summary: `before`, `after`, `arms`; see `report.columns`.
        width: characters of a line; at least one run is shown in each block, whatever the width.
    Returns:
        Lines without one at the end.
    Raises:
        ValueError: a summary without runs, or with values that are no numbers; a width below 1.

    Example:
        >>> print(comparison({"before": {"n_valid": 9, "fdr": 0.25}, "after": {"n_valid": 8, "fdr": float("nan")}}))
                          before  after
        Questions  valid       9      8
        Failures   FDR %    25.0      –
    """
    if width < 1:
        raise ValueError(f"[comparison] width must be at least 1, got {width}")
    rows = columns.runs(summary)
    shown = columns.columns(rows)
    labels = _labels(shown)
    blocks = [_block(block, shown, labels) for block in _blocks(rows, shown, width - len(labels[0]))]
    return "\n\n".join(blocks)


def _labels(shown: Sequence[Column]) -> list[str]:
    """Group and head of each line, the group only where it begins."""
    firsts = [next(members).key for _, members in groupby(shown, key=lambda column: column.group)]
    groups = [column.group if column.key in firsts else "" for column in shown]
    wide_group, wide_head = max(map(len, groups)), max(len(column.head) for column in shown)
    return [f"{g:<{wide_group}}  {c.head:<{wide_head}}" for g, c in zip(groups, shown, strict=True)]


def _blocks(rows: Sequence[Run], shown: Sequence[Column], space: int) -> list[list[Run]]:
    """The runs of each block: all in one if they fit, else a new one for the arms and wherever a line is full."""

    def fit(block: Sequence[Run]) -> bool:
        return sum(_wide(row, shown) + 2 for row in block) <= space

    if fit(rows):
        return [list(rows)]
    blocks = [[rows[0]]]
    for row in rows[1:]:
        if row.section == blocks[-1][-1].section and fit([*blocks[-1], row]):
            blocks[-1].append(row)
        else:
            blocks.append([row])
    return blocks


def _block(rows: Sequence[Run], shown: Sequence[Column], labels: Sequence[str]) -> str:
    lines = [" " * len(labels[0]), *labels]
    for row in rows:
        cells = [_name(row), *(_text(column.cell(row.numbers, column.key)) for column in shown)]
        wide = _wide(row, shown)
        lines = [f"{line}  {cell:>{wide}}" for line, cell in zip(lines, cells, strict=True)]
    return "\n".join(line.rstrip() for line in lines)


def _wide(row: Run, shown: Sequence[Column]) -> int:
    return max(len(_name(row)), *(len(_text(column.cell(row.numbers, column.key))) for column in shown))


def _name(row: Run) -> str:
    return plain(row.name, _NAME).replace("\n", " ")


def _text(cell: Cell) -> str:
    return f"{cell.text} [{cell.span(', ')}]" if cell.interval else cell.text
