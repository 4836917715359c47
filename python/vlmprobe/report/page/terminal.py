"""The ways of asking for the terminal: what was found as a sentence, then a metric per line and an arm per column."""

from __future__ import annotations

import textwrap

from vlmprobe._util.checks import check_count
from vlmprobe.report.page.columns import comparison_table
from vlmprobe.report.page.headline import headline
from vlmprobe.report.results.demo import Summary
from vlmprobe.report.table.cells import Column, Table, text_cell, words
from vlmprobe.report.table.format import line
from vlmprobe.report.table.terminal import blocks

_NAME = 20  # characters of an arm's name that are shown


def comparison(summary: Summary, *, width: int = 100) -> str:
    """The page's first sentence, and the summary's table; arms that do not fit stand in a block below.

    Rates come with their interval, `31.2 [28.9, 33.6]`; what is not known is `–`.

    Args:
        summary: of a demo; see `read_summary`.
        width: characters of a line; at least one arm is shown in each block, whatever the width.
    Returns:
        Lines without one at the end.
    Raises:
        ValueError: a width below 1.

    Example:
        >>> from vlmprobe.report import read_summary
        >>> arms = {"default": {"distinct_failing_programs": 9, "fdr": 0.25}, "paper": {"fdr": float("nan")}}
        >>> print(comparison(read_summary({"arms": arms})))
        Of different programs (kinds of question) that fail the default way of asking (at – answerer calls)
        found 9 and the paper's reward (at – answerer calls) –.
        <BLANKLINE>
                            default  paper
        Failures  FDR %        25.0      –
                  programs        9      –
    """
    check_count("comparison", "width", width)
    sentence = textwrap.fill(line(headline(summary)[0]), width)
    return "\n\n".join([sentence, *blocks(_turned(comparison_table(summary)), width)])


def _turned(table: Table) -> Table:
    """A row for each column of numbers, with its group, where that begins, and its head; a column for each row."""
    columns = [words(""), words(""), *(Column(head=line(row[0].text, _NAME)) for row in table.rows)]
    rows = [
        [text_cell(column.group if table.begins(index) else ""), text_cell(column.head)]
        + [row[index] for row in table.rows]
        for index, column in enumerate(table.columns)
        if not column.text
    ]
    return Table(id=table.id, title=table.title, columns=columns, rows=rows)
