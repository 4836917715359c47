"""A table as GitHub's Markdown. Texts of others are escaped: they can make no table, link or tag."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Table

_MARKS = re.compile(r"([\\`*_\[\]<>|~&#!$@])")
_LIST_HEAD = re.compile(r"^(\d*)([-+.)=:])")
_LINK = re.compile(r"(://|www)(?=.)", re.IGNORECASE)


def escaped(value: object) -> str:
    """A text on one line, in which nothing is Markdown or HTML."""
    line = _LIST_HEAD.sub(r"\1\\\2", _MARKS.sub(r"\\\1", format.line(value)))
    return _LINK.sub(lambda match: _broken(match[1]), line)


def rows(table: Table) -> Iterator[str]:
    """The heads, their alignment and the rows, a line each; a cell is `83.4 [80.1, 86.2] \\| 83.44`."""
    yield _row([escaped(column.head) + (" \\| paper" if column.paper else "") for column in table.columns])
    yield _row([":--" if column.text else "--:" for column in table.columns])
    for row in table.rows:
        yield _row([_cell(cell, column.text) for cell, column in zip(row, table.columns, strict=True)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, text: bool) -> str:
    if not text:
        return str(cell).replace("|", "\\|").replace("<", "\\<")
    own = escaped(cell.text) + (f" ({cell.remark})" if cell.remark else "")
    return f"**{own}**" if cell.verdict else own


def _broken(start: str) -> str:
    """The start of an address, so that it makes no link."""
    return ":&#47;/" if start == "://" else f"{start[:2]}&#{ord(start[2])};"
