"""The page of a run: one HTML file with everything in it, no script and no address of another place.

Every text comes from a model or a user and is escaped by the template engine; invisible characters are shown. A content
security policy in the page forbids scripts and the network besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlmprobe._util.checks import check_count
from vlmprobe._util.files import write_text
from vlmprobe._util.optional import require
from vlmprobe.report.draw.planted import detected
from vlmprobe.report.draw.svg import inline, palette
from vlmprobe.report.page import cards
from vlmprobe.report.page.cards import FailureCard
from vlmprobe.report.page.columns import arm_name, comparison_table
from vlmprobe.report.page.faults import fault_table
from vlmprobe.report.page.headline import headline
from vlmprobe.report.page.probe import hint_table
from vlmprobe.report.page.templating import templates
from vlmprobe.report.page.tiles import tiles
from vlmprobe.report.results.demo import Summary
from vlmprobe.report.table import format


def write_page(
    path: str | Path,
    *,
    summary: Summary,
    gallery: Sequence[FailureCard] = (),
    title: str = "vlmprobe",
    notes: Sequence[str] = (),
    per_family: int = 8,
) -> Path:
    """Writes the page; a page that is there is replaced as a whole.

    Args:
        path: the file, usually `report.html` of a run directory.
        summary: of a demo; see `read_summary`.
        gallery: failures of the first arm to show, the best first within a family.
        title: heading of the page.
        notes: sentences below the heading's numbers, such as what was measured and what was not.
        per_family: failures shown of a family.
    Returns:
        The path.
    Raises:
        ValueError: no such folder.
        ImportError: jinja2 or matplotlib is missing; names the extra `report`.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"[write_page] path: no folder {str(path.parent)!r}")
    check_count("write_page", "per_family", per_family)
    for package in ("jinja2", "matplotlib"):
        require(package, extra="report")
    write_text(path, _page(summary, gallery, title, notes, per_family))
    return path


def _page(summary: Summary, gallery: Sequence[FailureCard], title: str, notes: Sequence[str], per_family: int) -> str:
    from markupsafe import Markup

    environment = templates()
    # ours: what we drew ourselves (SVG, base64), neither escaped nor cut to a length as texts of others are.
    environment.globals.update(picture=cards.picture, ours=Markup, palette=palette(), dash=format.DASH)
    environment.filters.update(count=format.count)
    return environment.get_template("page.html.j2").render(
        title=title,
        facts=_facts(summary),
        sentences=headline(summary),
        notes=list(notes),
        tiles=tiles(summary),
        curves=_curves(summary),
        comparison=comparison_table(summary),
        faults=fault_table(summary),
        asker=arm_name(next(iter(summary.arms))),
        hints=hint_table(summary.hints),
        first=cards.one_of_each(gallery),
        families=cards.families(gallery, per_family=per_family),
        n_cards=len(gallery),
        versions=summary.versions,
    )


@dataclass(frozen=True, kw_only=True)
class _Curves:
    """The figure, and for its legend the arms' names and the faults that each detected."""

    svg: str
    legend: Sequence[tuple[str, str]]


def _curves(summary: Summary) -> _Curves | None:
    """None without planted faults or curves."""
    lines = {name: [(calls, ten) for calls, _, ten in arm.curve] for name, arm in summary.arms.items() if arm.curve}
    if not summary.planted or not lines:
        return None
    drawn = detected("curves", list(lines.values()), len(summary.planted))
    legend = [(arm_name(name), format.count(points[-1][1])) for name, points in lines.items()]
    return _Curves(svg=inline(drawn, "curves", "Faults detected over answerer calls"), legend=legend)


def _facts(summary: Summary) -> list[str]:
    """Seed, pictures and time, as far as they are known."""
    seconds = summary.seconds
    facts = [f"seed {summary.seed}"] if summary.seed is not None else []
    facts += [f"{format.count(summary.pictures)} pictures"] if summary.pictures is not None else []
    if seconds is not None:
        facts.append(f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min")
    return facts
