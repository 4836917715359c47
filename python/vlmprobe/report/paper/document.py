"""What a reproduction has to say, in order: sentences, claims, tables and judge sensitivity. The page, the Markdown and
the terminal print this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlmprobe.report.paper.sensitivity import Sensitivity, sensitivity
from vlmprobe.report.paper.tables import result_table
from vlmprobe.report.results.paper import Claim, PaperResults
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Table, text_cell, words

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


def document(results: PaperResults) -> Document:
    """The results of `vlmprobe reproduce` as they are printed.

    Raises:
        ValueError: a verdict is none of `VERDICTS`, or a table's row does not fit its labels.
    """
    verdicts = _verdicts(results.claims)
    found = results.sensitivity
    return Document(
        title=results.title,
        facts=_facts(results),
        verdicts=verdicts,
        lead=_lead(verdicts),
        notes=[*results.notes, _READING],
        claims=_claims(results.claims) if results.claims else None,
        tables=[result_table(table) for table in results.tables],
        sensitivity=None if found is None else sensitivity(found),
        settings=_settings(results.settings),
        versions=results.versions,
    )


def _facts(results: PaperResults) -> list[str]:
    listed = ", ".join(map(str, results.seeds))
    one = len(results.seeds) == 1
    facts = [f"seed {listed}" if one else f"{len(results.seeds)} seeds: {listed}"] if results.seeds else []
    return facts + (["embedded world"] if results.world else [])


def _verdicts(claims: Sequence[Claim]) -> dict[str, int]:
    for claim in claims:
        if claim.verdict not in VERDICTS:
            allowed = ", ".join(VERDICTS)
            raise ValueError(f"[report] claim {claim.id!r}: expected {allowed}, got {claim.verdict!r:.60}")
    given = [claim.verdict for claim in claims]
    return {verdict: given.count(verdict) for verdict in VERDICTS if verdict in given}


def _lead(verdicts: Mapping[str, int]) -> str:
    """`Of the paper's 3 claims, 1 holds, 1 does not, 1 is undecided.`"""
    total = sum(verdicts.values())
    if not total:
        return ""
    subject = "the paper's one claim" if total == 1 else f"the paper's {total} claims"
    told = [f"{count} {VERDICTS[verdict][1 + (count != 1)]}" for verdict, count in verdicts.items()]
    return f"Of {subject}, {', '.join(told)}."


def _claims(claims: Sequence[Claim]) -> Table:
    rows = [
        [text_cell(text) for text in (claim.claim, claim.where, claim.paper, claim.ours)]
        + [Cell(text=claim.verdict, verdict=claim.verdict)]
        for claim in claims
    ]
    heads = ("claim", "where", "paper", "ours", "verdict")
    return Table(id="claims", title="Claims of the paper", columns=[words(head) for head in heads], rows=rows)


def _settings(settings: Mapping[str, object]) -> Table | None:
    rows = [[text_cell(name), text_cell(_plain(value))] for name, value in settings.items()]
    columns = [words("setting"), words("value")]
    return Table(id="settings", title="Settings", columns=columns, rows=rows) if rows else None


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
