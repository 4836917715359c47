"""What a reproduction has to say, in order: sentences, claims, tables and judge sensitivity. The page, the Markdown and
the terminal print this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe.report.paper.sensitivity import Sensitivity, sensitivity
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, result_table, text_cell, words

VERDICTS = {
    "holds": ("holds", "holds", "hold"),
    "points to it": ("holds", "is pointed to by the one seed", "are pointed to by the one seed"),
    "does not hold": ("fails", "does not", "do not"),
    "points against it": ("fails", "is pointed against", "are pointed against"),
    "undecided": ("open", "is undecided", "are undecided"),
    "not measured": ("open", "is not measured", "are not measured"),
}
"""verdict -> its class on the page, and how one claim and several are told."""

_READING = (
    "Brackets hold 95 % intervals. Beside our number stands the paper's, as printed there and without an interval. "
    f"{format.DASH} is not known."
)


@dataclass(frozen=True, kw_only=True)
class Document:
    """A reproduction, ready to print."""

    title: str
    facts: Sequence[str]
    """Short facts above the title, such as the seeds."""
    verdicts: Mapping[str, int]
    """verdict -> number of claims, of those that are given, in the order of `VERDICTS`."""
    lead: str
    """The sentence that counts the claims, or empty."""
    notes: Sequence[str]
    claims: Table | None
    tables: Sequence[Table]
    sensitivity: Sensitivity | None
    settings: Table | None
    versions: Mapping[str, str]


def document(results: Mapping[str, Any]) -> Document:
    """Reads the results of `vlmprobe reproduce`.

    Raises:
        ValueError: a part is missing, a verdict is none of `VERDICTS`, or a table does not fit its columns.
    """
    for part in ("title", "tables", "figures", "claims"):
        if part not in results:
            raise ValueError(f"[report] results: expected {part!r}, got {', '.join(results) or 'nothing'}")
    claims = results["claims"]
    verdicts = _verdicts(claims) if claims else {}
    found = results.get("sensitivity")
    return Document(
        title=str(results["title"]),
        facts=_facts(results),
        verdicts=verdicts,
        lead=_lead(verdicts),
        notes=[*map(str, results.get("notes") or ()), _READING],
        claims=_claims(claims) if claims else None,
        tables=[result_table(table) for table in results["tables"]],
        sensitivity=None if found is None else sensitivity(found),
        settings=_settings(results.get("settings") or {}),
        versions={str(name): str(version) for name, version in (results.get("versions") or {}).items()},
    )


def _facts(results: Mapping[str, Any]) -> list[str]:
    seeds = list(results.get("seeds") or ())
    listed = ", ".join(map(str, seeds))
    facts = [f"seed {listed}" if len(seeds) == 1 else f"{len(seeds)} seeds: {listed}"] if seeds else []
    return facts + (["embedded world"] if results.get("world") else [])


def _verdicts(claims: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    for claim in claims:
        if claim["verdict"] not in VERDICTS:
            allowed = ", ".join(VERDICTS)
            raise ValueError(f"[report] claim {claim['id']!r}: expected {allowed}, got {claim['verdict']!r:.60}")
    given = [claim["verdict"] for claim in claims]
    return {verdict: given.count(verdict) for verdict in VERDICTS if verdict in given}


def _lead(verdicts: Mapping[str, int]) -> str:
    """`Of the paper's 3 claims, 1 holds, 1 does not, 1 is undecided.`"""
    total = sum(verdicts.values())
    if not total:
        return ""
    subject = "the paper's one claim" if total == 1 else f"the paper's {total} claims"
    told = [f"{count} {VERDICTS[verdict][1 + (count != 1)]}" for verdict, count in verdicts.items()]
    return f"Of {subject}, {', '.join(told)}."


def _claims(claims: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [text_cell(claim[key]) for key in ("claim", "where", "paper", "ours")]
        + [Cell(text=claim["verdict"], verdict=claim["verdict"])]
        for claim in claims
    ]
    heads = ("claim", "where", "paper", "ours", "verdict")
    return Table(id="claims", title="Claims of the paper", columns=[words(head) for head in heads], rows=rows)


def _settings(settings: Mapping[str, Any]) -> Table | None:
    rows = [[text_cell(name), text_cell(_plain(value))] for name, value in settings.items()]
    columns: list[Column] = [words("setting"), words("value")]
    return Table(id="settings", title="Settings", columns=columns, rows=rows) if rows else None


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
