"""What `vlmprobe reproduce` found, for people: one self-contained page, the same as Markdown, and the figures as SVG.

Texts come from models and users. The template engine escapes them, invisible characters are shown, and a content
security policy in the page forbids scripts and the network besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlmprobe._util.files import write_text
from vlmprobe._util.optional import require
from vlmprobe.report.draw import svg
from vlmprobe.report.page.templating import templates
from vlmprobe.report.paper.document import VERDICTS, Document, document
from vlmprobe.report.paper.figures import PaperFigure, paper_figures
from vlmprobe.report.paper.markdown import FOLDER, markdown
from vlmprobe.report.results.paper import PaperResults


def write_paper(folder: str | Path, results: PaperResults) -> Path:
    """Writes `report.html`, `report.md` and `figures/*.svg`; files that are there are replaced as a whole.

    Tables have our number with its interval and, beside it, the paper's; equal results give equal bytes.

    Args:
        folder: the run directory.
        results: what `vlmprobe reproduce` computes; see `read_results`.
    Returns:
        The path of `report.html`.
    Raises:
        ValueError: no such folder; results that do not fit together.
        ImportError: jinja2 or matplotlib is missing; names the extra `report`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"[write_paper] folder: no folder {str(folder)!r}")
    for package in ("jinja2", "matplotlib"):
        require(package, extra="report")
    read = document(results)
    drawn = paper_figures(results.figures)
    page, text = _page(read, drawn), markdown(read, drawn)
    (folder / FOLDER).mkdir(exist_ok=True)
    for figure in drawn:
        write_text(folder / FOLDER / f"{figure.id}.svg", figure.standalone)
    write_text(folder / "report.md", text)
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _page(read: Document, drawn: Sequence[PaperFigure]) -> str:
    from markupsafe import Markup

    environment = templates()
    # ours: what we made ourselves (SVG, style), neither escaped nor cut to a length as texts of others are.
    environment.globals.update(ours=Markup, palette=svg.palette())
    environment.globals.update(verdict_class={name: words[0] for name, words in VERDICTS.items()})
    return environment.get_template("paper.html.j2").render(document=read, figures=drawn)
