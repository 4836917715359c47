"""The table and the figure of how good failure modes are."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from vlmprobe._util.files import write_text
from vlmprobe._util.json import plain
from vlmprobe._util.optional import require
from vlmprobe.metrics import Rate
from vlmprobe.report.draw import svg
from vlmprobe.report.draw.profiles import profiles
from vlmprobe.report.results.numbers import Interval
from vlmprobe.report.table import markdown, terminal
from vlmprobe.report.table.cells import Cell, Column, Table, estimate_cell, text_cell, words
from vlmprobe.studies.modesbench.summary import Found, Row, Runs, curves, plain_of, rows_of

TITLE = "Failure modes against planted faults"


def modes_bench_table(runs: Runs, *, notes: Sequence[str] = ()) -> Table:
    """A row for each number, a column for each condition; n stands behind the interval."""
    columns = [words("of"), words("number"), *(Column(head=name) for name in runs)]
    rows = [
        [text_cell(row.section), text_cell(row.name + (", %" if row.share else "")), *(_cell(row, at) for at in runs)]
        for row in rows_of(runs)
    ]
    size = "; ".join(f"{name}: {len(some)} runs" for name, some in runs.items())
    said = f"{size}. Intervals are of 95 % and count fault sets; n, behind each, is of what is counted. "
    said += "Detected: at least ten times. Nameable: from words and answers. Halved: at most half is left."
    return Table(id="modesbench", title=TITLE, columns=columns, rows=rows, notes=[said, *notes])


def modes_bench_text(table: Table, *, width: int) -> str:
    """The table for the terminal."""
    return "\n\n".join([*terminal.blocks(table, width), "\n".join(table.notes)])


def write_modes_bench(folder: str | Path, table: Table, runs: Runs) -> Path:
    """Writes `table.md`, `figure.svg` and `results.json`, which has the numbers of the table; the path of the first.

    Raises:
        ImportError: matplotlib is missing; names the extra `report`.
    """
    require("matplotlib", extra="report")
    folder, rows = Path(folder), rows_of(runs)
    first = next(iter(runs.values()))
    drawn = profiles("modesbench", curves(first), _named(rows))
    write_text(folder / "figure.svg", svg.standalone(drawn, TITLE))
    write_text(folder / "results.json", json.dumps(plain(plain_of(rows)), indent=1, allow_nan=False) + "\n")
    lines = [f"# {table.title}", "", *markdown.rows(table), "", *table.notes, "", f"![{table.title}](figure.svg)"]
    write_text(folder / "table.md", "\n".join(lines) + "\n")
    return folder / "table.md"


def _named(rows: Sequence[Row]) -> dict[str, dict[str, Rate]]:
    return {
        row.name: {at: found for at, found in row.by.items() if isinstance(found, Rate)}
        for row in rows
        if row.section == rows[0].section and row.name.startswith("named at")
    }


def _cell(row: Row, at: str) -> Cell:
    found: Found = row.by[at]
    if not found.n or not math.isfinite(found.value):
        return text_cell(None)
    ends = [end if math.isfinite(end) else None for end in (found.low, found.high)]
    interval = Interval(value=found.value, low=ends[0], high=ends[1])
    return estimate_cell(interval, percent=row.share, digits=1 if row.share else 2, remark=f"n {found.n}")
