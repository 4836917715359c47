"""A reproduction as Markdown with GitHub's tables. Texts of others are escaped: they can make no table, link or tag."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vlmprobe.report.paper.document import Document
from vlmprobe.report.paper.figures import PaperFigure
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Table

FOLDER = "figures"

_MARKS = re.compile(r"([\\`*_\[\]<>|~&#!$@])")
_LIST_HEAD = re.compile(r"^(\d*)([-+.)=:])")
_LINK = re.compile(r"(://|www)(?=.)", re.IGNORECASE)


def markdown(document: Document, figures: Sequence[PaperFigure]) -> str:
    """The whole document; figures are links into `figures/`."""
    return "\n".join(_lines(document, figures)) + "\n"


def escaped(value: object) -> str:
    """A text on one line, in which nothing is Markdown or HTML."""
    line = " ".join(format.plain(str(value)).split())
    line = _LIST_HEAD.sub(r"\1\\\2", _MARKS.sub(r"\\\1", line))
    return _LINK.sub(lambda match: _broken(match[1]), line)


def _broken(start: str) -> str:
    """The start of an address, so that it makes no link."""
    return ":&#47;/" if start == "://" else f"{start[:2]}&#{ord(start[2])};"


def _lines(document: Document, figures: Sequence[PaperFigure]) -> Iterator[str]:
    yield f"# {escaped(document.title)}"
    yield from _paragraph(" · ".join(["vlmprobe", *map(escaped, document.facts)]))
    if document.lead:
        yield from _paragraph(f"**{document.lead}**")
    for note in document.notes:
        yield from _paragraph(escaped(note))
    if document.claims is not None:
        yield from _table(document.claims, 2)
    yield from _paragraph("## Tables")
    for table in document.tables:
        yield from _table(table, 3)
    yield from _paragraph("## Figures")
    for figure in figures:
        yield from _paragraph(f"### {escaped(figure.title)}")
        yield from _paragraph(f"![{escaped(figure.title)}]({FOLDER}/{figure.id}.svg)")
        yield from _paragraph(escaped(figure.caption))
    yield from _sensitivity(document)
    if document.settings is not None:
        yield from _table(document.settings, 2)
    if document.versions:
        yield from _paragraph(" · ".join(f"{escaped(name)} {escaped(at)}" for name, at in document.versions.items()))


def _sensitivity(document: Document) -> Iterator[str]:
    yield from _paragraph("## Judge sensitivity")
    if document.sensitivity is None:
        yield from _paragraph("Not computed: no other judge has read these runs.")
        return
    yield ""
    for sentence in document.sensitivity.sentences:
        yield f"- {escaped(sentence)}"
    for table in document.sensitivity.tables:
        yield from _table(table, 3)


def _paragraph(text: str) -> Iterator[str]:
    yield ""
    yield text


def _table(table: Table, level: int) -> Iterator[str]:
    yield from _paragraph(f"{'#' * level} {escaped(table.title)}")
    yield ""
    yield _row([escaped(column.head) + (" \\| paper" if column.paper else "") for column in table.columns])
    yield _row([":--" if column.text else "--:" for column in table.columns])
    for row in table.rows:
        yield _row([_cell(cell, column.text) for cell, column in zip(row, table.columns, strict=True)])
    for note in table.notes:
        yield from _paragraph(escaped(note))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell, text: bool) -> str:
    """`83.4 [80.1, 86.2] \\| 83.44`."""
    if not text:
        return str(cell).replace("|", "\\|").replace("<", "\\<")
    own = escaped(cell.text) + (f" ({cell.remark})" if cell.remark else "")
    return f"**{own}**" if cell.verdict else own
