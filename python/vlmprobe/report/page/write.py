"""The page of a run: one HTML file with everything in it, no script and no address of another place.

Every text comes from a model or a user and is escaped by the template engine; invisible characters are shown. A content
security policy in the page forbids scripts and the network besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from vlmprobe._util.files import write_text
from vlmprobe.report.draw.panels import PANELS, Panel, charts, window_for
from vlmprobe.report.page import cards, columns
from vlmprobe.report.page.cards import FailureCard
from vlmprobe.report.page.columns import Run
from vlmprobe.report.page.headline import headline
from vlmprobe.report.page.templating import templates
from vlmprobe.report.table import format


def write_page(
    path: str | Path,
    *,
    summary: Mapping[str, Any],
    curves: Sequence[Mapping[str, Any]] = (),
    gallery: Sequence[FailureCard] = (),
    title: str = "vlmprobe",
    notes: Sequence[str] = (),
    panels: Sequence[Panel] = PANELS,
    per_family: int = 8,
) -> Path:
    """Writes the page; a page that is there is replaced as a whole.

    Args:
        path: the file, usually `report.html` of a run directory.
        summary: `before`, `after`, `arms` as in `report.columns`; also `steps`, `seed`, `seconds`, `versions`. A fault
            may have `when`, `effect` and `description` beside its counts.
        curves: one mapping per training step; see `report.draw.panels`.
        gallery: the failures to show, the best first within a family.
        title: heading of the page.
        notes: sentences below the heading's numbers, such as what was measured and what was not.
        panels: the charts, of the keys in `curves`.
        per_family: failures shown of a family.
    Returns:
        The path.
    Raises:
        ValueError: no such folder; a summary or curves of another shape.
        ImportError: jinja2 or matplotlib is missing; names the extra `report`.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"[write_page] path: no folder {str(path.parent)!r}")
    if per_family < 1:
        raise ValueError(f"[write_page] per_family must be at least 1, got {per_family}")
    try:
        page = _render(summary, curves, gallery, title, notes, panels, per_family)
    except ImportError as error:
        raise ImportError(f"[write_page] package {error.name} is missing: pip install 'vlmprobe[report]'") from error
    write_text(path, page)
    return path


def _render(
    summary: Mapping[str, Any],
    curves: Sequence[Mapping[str, Any]],
    gallery: Sequence[FailureCard],
    title: str,
    notes: Sequence[str],
    panels: Sequence[Panel],
    per_family: int,
) -> str:
    from markupsafe import Markup

    environment = templates()
    # ours: what we drew ourselves (SVG, base64), neither escaped nor cut to a length as texts of others are.
    environment.globals.update(picture=cards.picture, ours=Markup, dash=format.DASH)
    environment.filters.update(count=format.count, small_percent=format.small_percent)
    rows = columns.runs(summary)
    return environment.get_template("page.html.j2").render(
        title=title,
        facts=_facts(summary),
        sentences=headline(summary),
        notes=list(notes),
        tiles=_tiles(summary),
        table=_table(rows),
        faults=_faults(rows),
        charts=charts(curves, panels),
        steps=len(curves),
        window=window_for(len(curves)),
        families=cards.families(gallery, per_family=per_family),
        n_cards=len(gallery),
        versions=dict(summary.get("versions") or {}),
    )


def _facts(summary: Mapping[str, Any]) -> list[str]:
    """Seed, steps and time, as far as they are known."""
    seconds, steps, seed = (summary.get(key) for key in ("seconds", "steps", "seed"))
    facts = [f"seed {seed}"] if seed is not None else []
    facts += [f"{format.count(steps)} training steps"] if not format.missing(steps) else []
    if not format.missing(seconds) and seconds is not None:
        facts.append(f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min")
    return facts


def _tiles(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The five numbers to see first: after, and before below it."""
    before, after = summary.get("before"), summary.get("after")
    if before is None or after is None:
        return []
    wanted = {
        "fdr": ("Failure rate", "%", "n = {n}"),
        "qvr": ("Valid questions", "%", "n = {n}"),
        "distinct_failures": ("Failing programs", "", "distinct"),
        "effective_failure_families": ("Failure families", "", "effective"),
        "detected": ("Faults detected", "", "of {n} planted"),
    }
    totals = {
        "fdr": columns.number(after, "n_valid"),
        "qvr": columns.number(after, "n_questions"),
        "detected": len(after.get("faults") or {}),
    }
    by_key = {column.key: column for column in columns.COLUMNS}
    tiles = []
    for key, (label, unit, of) in wanted.items():
        now, then = (by_key[key].cell(numbers, key) for numbers in (after, before))
        if now.known:
            of = of.format(n=format.count(totals.get(key)))
            tiles.append({"key": key, "label": label, "unit": unit, "of": of, "now": now, "then": then})
    return tiles


def _table(rows: Sequence[Run]) -> dict[str, Any]:
    """Heads by group, and the rows by section."""
    shown = columns.columns(rows)
    by_section = [(section, list(members)) for section, members in groupby(rows, key=lambda row: row.section)]
    return {
        "columns": shown,
        "groups": [(name, len(list(members))) for name, members in groupby(shown, key=lambda column: column.group)],
        "firsts": {next(members).key for _, members in groupby(shown, key=lambda column: column.group)},
        "sections": [
            (
                columns.section_title(section, members),
                [(row.name, [column.cell(row.numbers, column.key) for column in shown]) for row in members],
            )
            for section, members in by_section
        ],
    }


def _faults(rows: Sequence[Run]) -> dict[str, Any] | None:
    """One line per planted fault, the commonest first: what it is, its mass, and how far each run got with it."""
    known: dict[str, dict[str, Any]] = {}
    for row in rows:
        for name, fault in (row.numbers.get("faults") or {}).items():
            known.setdefault(name, {}).update({k: v for k, v in fault.items() if k not in columns.STAGES})
    if not known:
        return None
    with_faults = [row for row in rows if row.numbers.get("faults")]
    by_mass = sorted(known.items(), key=lambda item: -(columns.number(item[1], "mass") or 0.0))
    lines = [
        {
            "id": name,
            "mass": columns.number(fault, "mass"),
            "text": _fault_text(fault),
            "runs": [
                [columns.number((row.numbers["faults"].get(name) or {}), stage) for stage in columns.STAGES]
                for row in with_faults
            ],
        }
        for name, fault in by_mass
    ]
    return {"runs": [row.name for row in with_faults], "stages": columns.STAGES, "lines": lines}


def _fault_text(fault: Mapping[str, Any]) -> str:
    """Its description; else its condition and effect: "family count, num_objects >= 5: off_by_one"."""
    if fault.get("description"):
        return str(fault["description"])
    when = fault.get("when")
    parts = [_condition(*item) for item in when.items()] if isinstance(when, Mapping) else [str(when)] if when else []
    return ": ".join(filter(None, [", ".join(parts), str(fault.get("effect") or "")]))


def _condition(feature: str, wanted: object) -> str:
    if isinstance(wanted, Mapping):
        ends = [f"{feature} {sign} {wanted[key]}" for key, sign in (("min", "≥"), ("max", "≤")) if key in wanted]
        return ", ".join(ends)
    if isinstance(wanted, list | tuple):
        return f"{feature} {' or '.join(map(str, wanted))}"
    return f"{feature} {wanted}"
