"""A reproduction as GitHub's Markdown; texts of others are escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vlmprobe.report.paper.document import Document
from vlmprobe.report.paper.figures import PaperFigure
from vlmprobe.report.table.cells import Table
from vlmprobe.report.table.markdown import escaped, rows

FOLDER = "figures"


def markdown(document: Document, figures: Sequence[PaperFigure]) -> str:
    """The whole document; figures are links into `figures/`."""
    return "\n".join(_lines(document, figures)) + "\n"


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
    yield from rows(table)
    for note in table.notes:
        yield from _paragraph(escaped(note))
