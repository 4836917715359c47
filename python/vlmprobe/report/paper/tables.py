"""Tables of a reproduction: our number with its interval and, beside it, the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vlmprobe.report.results.numbers import UNKNOWN
from vlmprobe.report.results.paper import ResultRow, ResultTable
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import (
    NOT_IN_PAPER,
    NOT_PUBLISHED,
    Cell,
    Column,
    Table,
    estimate_cell,
    text_cell,
    words,
)

_LONG = 20  # characters of the head of a column of n


def result_table(table: ResultTable) -> Table:
    """One of the results' tables.

    A column for which the paper has a number in no row has no place for one, and a note says so. Columns of n come
    last, one for all numbers whose n agree in every row; an n that is the same in every row is in a note instead.

    Raises:
        ValueError: rows with another number of labels than the table.
    """
    titles = {column.key: column.title for column in table.columns}
    published = [key for key in titles if any(key in row.paper for row in table.rows)]
    columns = [words(label) for label in table.labels]
    columns += [Column(head=title, paper=key in published) for key, title in titles.items()]
    groups = _same_sizes(table)
    varying = {sizes: group for sizes, group in groups.items() if len(set(sizes)) > 1}
    columns += [Column(head=head, size=True) for head in _size_heads(list(varying.values()), titles)]
    rows = [
        _row(table, row, published) + [Cell(text=sizes[index]) for sizes in varying]
        for index, row in enumerate(table.rows)
    ]
    constant = [(sizes[0], group) for sizes, group in groups.items() if len(set(sizes)) == 1]
    notes = [*table.notes, *_size_notes(constant, titles), *_paper_notes(table, published, titles)]
    return Table(id=table.id, title=table.title, columns=columns, rows=rows, notes=notes)


def _row(table: ResultTable, row: ResultRow, published: Sequence[str]) -> list[Cell]:
    if len(row.labels) != len(table.labels):
        raise ValueError(f"[report] {table.id}: expected {len(table.labels)} labels in a row, got {len(row.labels)}")
    cells = [text_cell(label) for label in row.labels]
    if not row.paper and published and cells:
        cells[-1] = replace(cells[-1], remark=NOT_IN_PAPER)
    for column in table.columns:
        own = estimate_cell(row.ours.get(column.key, UNKNOWN), percent=column.percent, digits=column.digits)
        beside = row.paper and column.key in published
        paper = _paper(row.paper.get(column.key), whole=column.digits == 0) if beside else None
        cells.append(replace(own, paper=paper))
    return cells


def _paper(value: float | None, *, whole: bool) -> str:
    """The paper's number as printed there: counts whole, everything else with two decimals or more."""
    if value is None:
        return NOT_PUBLISHED
    decimals = len(repr(float(value)).partition(".")[2])
    return f"{value:.0f}" if whole and value == int(value) else f"{value:.{max(2, decimals)}f}"


def _paper_notes(table: ResultTable, published: Sequence[str], titles: Mapping[str, str]) -> list[str]:
    if not any(row.paper for row in table.rows):
        return ["The paper has no such table."]
    missing = [title for key, title in titles.items() if key not in published]
    return [f"Not published for any row: {', '.join(missing)}."] if missing else []


def _same_sizes(table: ResultTable) -> dict[tuple[str, ...], list[str]]:
    """n in each row -> the keys that have it; keys without any n are left out."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for column in table.columns:
        sizes = tuple(format.count(row.ours.get(column.key, UNKNOWN).n) for row in table.rows)
        if any(size != format.DASH for size in sizes):
            groups.setdefault(sizes, []).append(column.key)
    return groups


def _size_heads(groups: Sequence[Sequence[str]], titles: Mapping[str, str]) -> list[str]:
    """`n` when it is of all numbers; of several groups the one with the longest names is the rest."""
    if [len(group) for group in groups] == [len(titles)]:
        return ["n"]
    heads = [f"n of {_names(group, titles)}" for group in groups]
    longest = max(heads, key=len, default="")
    return ["n of the rest" if len(heads) > 1 and head == longest and len(head) > _LONG else head for head in heads]


def _size_notes(constant: Sequence[tuple[str, Sequence[str]]], titles: Mapping[str, str]) -> list[str]:
    """One sentence on the n that are the same in every row."""
    told = [n if len(group) == len(titles) else f"{n} of {_names(group, titles)}" for n, group in constant]
    return [f"n in every row: {'; '.join(told)}."] if told else []


def _names(group: Sequence[str], titles: Mapping[str, str]) -> str:
    return ", ".join(titles[key].removesuffix(" %") for key in group)
