"""The page of a run as one file: every text of others escaped, no address of another place, and no script but ours.

The policy of the page names its scripts by their hashes and forbids every other, and the network.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlmprobe._util.files import write_text
from vlmprobe._util.optional import require
from vlmprobe.report.draw.svg import palette
from vlmprobe.report.page import cards
from vlmprobe.report.page.templating import coded, templates
from vlmprobe.report.page.tiles import Tile
from vlmprobe.report.run.questions import Question
from vlmprobe.report.run.section import Section
from vlmprobe.report.table import format, spreadsheet

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A failure that is shown where no script runs."""

    question: Question
    uri: str


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """The content of a page."""

    title: str
    sections: Sequence[Section]
    facts: Sequence[str] = ()
    """Short ones, above the title."""
    sentences: Sequence[str] = ()
    """What was found; the first is the finding."""
    alarms: Sequence[str] = ()
    """What began to go wrong."""
    notes: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    packed: str = ""
    """All questions; see `vlmprobe.report.run.packing`. Empty: there is no gallery of them."""
    pictures: Sequence[str] = ()
    """Data addresses of the pictures to which they point."""
    failures: Sequence[Shown] = ()
    """The first of the failures, for who allows no scripts."""


def write_run_page(path: str | Path, page: PageContent) -> Path:
    """Writes the page; one that is there is replaced as a whole.

    Raises:
        ValueError: no such folder.
        ImportError: jinja2 is missing; names the extra `report`.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"[write_run_page] path: no folder {str(path.parent)!r}")
    write_text(path, page_text(page))
    return path


def page_text(page: PageContent, *, live: str = "") -> str:
    """The page as HTML.

    Args:
        page: its content.
        live: name of this state of the run; the page asks the server from which it comes whether there is another.
    """
    require("jinja2", extra="report")
    from markupsafe import Markup

    environment = templates()
    # ours: what we made ourselves (SVG, base64, scripts), neither escaped nor cut to a length as texts of others are.
    environment.globals.update(picture=cards.picture, ours=Markup, palette=palette(), dash=format.DASH)
    environment.globals.update({name: getattr(spreadsheet, name) for name in ("link", "of_table", "comma_separated")})
    environment.filters.update(count=format.count, coded=coded)
    names = (["gallery.js"] if page.packed else []) + (["live.js"] if live else [])
    scripts = [script(name) for name in names]
    return environment.get_template("run.html.j2").render(
        page=page,
        policy=policy(scripts, live=bool(live)),
        scripts=scripts,
        live=live,
        pictures=json.dumps(page.pictures),
    )


def script(name: str) -> str:
    """A script of the package's templates."""
    return (Path(__file__).parents[1] / "templates" / name).read_text(encoding="utf-8")


def policy(scripts: Sequence[str], *, live: bool = False) -> str:
    """What the page may do: run these scripts, and where it is live ask its own server."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in scripts
    )
    return _POLICY + (f"; script-src {hashes}" if hashes else "") + ("; connect-src 'self'" if live else "")
