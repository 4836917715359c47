"""The comparison for the terminal: a metric per line and a run per column."""

from __future__ import annotations

from vlmprobe._util.checks import check_count
from vlmprobe.report.page.columns import comparison_table
from vlmprobe.report.results.demo import Summary
from vlmprobe.report.table.cells import Column, Table, text_cell, words
from vlmprobe.report.table.format import line
from vlmprobe.report.table.terminal import blocks

_NAME = 20  # characters of a run's name that are shown


def comparison(summary: Summary, *, width: int = 100) -> str:
    """The summary's table, a metric per line and a run per column; runs that do not fit stand in a block below.

    Rates come with their interval, `31.2 [28.9, 33.6]`; what is not known is `–`.

    Args:
        summary: of a demo; see `read_summary`.
        width: characters of a line; at least one run is shown in each block, whatever the width.
    Returns:
        Lines without one at the end.
    Raises:
        ValueError: a width below 1.

    Example:
        >>> from vlmprobe.report import read_summary
        >>> summary = {"before": {"n_valid": 9, "fdr": 0.25}, "after": {"n_valid": 8, "fdr": float("nan")}}
        >>> print(comparison(read_summary(summary)))
                          before  after
        Questions  valid       9      8
        Failures   FDR %    25.0      –
    """
    check_count("comparison", "width", width)
    return "\n\n".join(blocks(_turned(comparison_table(summary)), width))


def _turned(table: Table) -> Table:
    """A row for each column of numbers, with its group, where that begins, and its head; a column for each row."""
    heading = ""
    columns = [words(""), words("")]
    for index, row in enumerate(table.rows):
        heading = table.headings.get(index, heading)
        columns.append(Column(head=line(row[0].text, _NAME), group=heading))
    rows = [
        [text_cell(column.group if table.begins(index) else ""), text_cell(column.head)]
        + [row[index] for row in table.rows]
        for index, column in enumerate(table.columns)
        if not column.text
    ]
    return Table(id=table.id, title=table.title, columns=columns, rows=rows)
