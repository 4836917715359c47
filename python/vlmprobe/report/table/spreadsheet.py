"""Tables as CSV that a spreadsheet reads as values: no text of others is taken for a formula."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence

from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def comma_separated(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The rows below their head. What is not known is empty; a text that a spreadsheet would take for a formula has an
    apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([_value(each) for each in row] for row in (head, *rows))
    return out.getvalue()


def of_table(table: Table) -> str:
    """A table of the page; the ends of an interval, and small print, have columns of their own."""
    head, pick = list[str](), list[tuple[int, str]]()
    for place, column in enumerate(table.columns):
        cells = [row[place] for row in table.rows]
        name = ": ".join(filter(None, (column.group, column.head)))
        head.append(name)
        pick.append((place, "text"))
        if any(cell.interval for cell in cells):
            head += [f"{name}, low", f"{name}, high"]
            pick += [(place, "low"), (place, "high")]
        if any(cell.remark for cell in cells):
            head.append(f"{name}, note")
            pick.append((place, "remark"))
    rows = [[_part(row[place], table.columns[place], part) for place, part in pick] for row in table.rows]
    return comma_separated(head, rows)


def link(text: str, kind: str = "text/csv") -> str:
    """A text as the address of a file to be saved."""
    data = base64.b64encode(text.encode("utf-8", "backslashreplace")).decode("ascii")
    return f"data:{kind};charset=utf-8;base64,{data}"


def _part(cell: Cell, column: Column, part: str) -> object:
    if part == "remark":
        return cell.remark
    if part == "text":
        return cell.text if column.text else _number(cell.text)
    low, _, high = cell.interval.partition(", ")
    return _number(low if part == "low" else high)


def _number(text: str) -> object:
    if text in ("", format.DASH):
        return None
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return text


def _value(value: object) -> object:
    if format.missing(value):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, bool | int | float):
        return value
    shown = format.plain(str(value))
    return f"'{shown}" if shown.lstrip(" ").startswith(_FORMULA) else shown
