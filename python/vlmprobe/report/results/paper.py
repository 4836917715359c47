"""The results of `vlmprobe reproduce`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlmprobe.report.results.figures import Figures
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.results.reading import read
from vlmprobe.report.results.sensitivity import JudgeSensitivity


@dataclass(frozen=True, kw_only=True)
class ResultColumn:
    """A number that each row of a table has."""

    key: str
    title: str
    percent: bool = False
    """The numbers are shares, printed times 100."""
    digits: int = 1


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """Our numbers, by the columns' keys, and the paper's."""

    labels: Sequence[str]
    ours: Mapping[str, Estimate]
    paper: Mapping[str, float | None] = field(default_factory=dict)
    """As printed there; empty where the paper has no such row."""


@dataclass(frozen=True, kw_only=True)
class ResultTable:
    """A table of numbers, those of the paper and others."""

    id: str
    title: str
    labels: Sequence[str]
    """Heads of the rows' labels."""
    columns: Sequence[ResultColumn]
    rows: Sequence[ResultRow]
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the paper says, and whether it holds here."""

    id: str
    claim: str
    where: str
    paper: str
    ours: str
    verdict: str
    """One of `paper.document.VERDICTS`."""


@dataclass(frozen=True, kw_only=True)
class PaperResults:
    """All that the report of a reproduction shows."""

    title: str
    tables: Sequence[ResultTable]
    figures: Figures
    claims: Sequence[Claim]
    seeds: Sequence[int] = ()
    notes: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    world: bool = False
    """The embedded one."""
    sensitivity: JudgeSensitivity | None = None


def read_results(content: Mapping[str, Any]) -> PaperResults:
    """The results that `results.json` holds.

    Raises:
        ValueError: a part is missing or of another shape; names it.
    """
    return read(PaperResults, content, "results")
