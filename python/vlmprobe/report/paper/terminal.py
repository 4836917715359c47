"""A reproduction for the terminal: its tables in fixed width, the paper's numbers beside ours, and the verdicts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from vlmprobe._util.checks import check_count
from vlmprobe.report.paper.document import Document, document
from vlmprobe.report.results.paper import PaperResults
from vlmprobe.report.table.cells import Table
from vlmprobe.report.table.format import line
from vlmprobe.report.table.terminal import blocks


def paper_tables(results: PaperResults, width: int = 100) -> str:
    """The tables of a reproduction and its claims.

    Args:
        results: what `vlmprobe reproduce` computes; see `read_results`.
        width: characters of a line; at least one column is shown in each block, whatever the width.
    Returns:
        Lines without one at the end.
    Raises:
        ValueError: results that do not fit together; a width below 1.
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
        yield from _wrapped(f"  {row[-1].text:<{wide}}  {line(row[0].text, 200)}", width, " " * (wide + 4))


def _table(table: Table, width: int) -> Iterator[str]:
    yield from _wrapped(line(table.title, 200), width)
    for block in blocks(table, width):
        yield block
        yield ""
    for note in table.notes:
        yield from _wrapped(line(note), width)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(text, max(width, len(indent) + 10), subsequent_indent=indent) or [""]
