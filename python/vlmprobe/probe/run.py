"""A probe's run to look at in a notebook; nothing is written.

run = ProbeRun("my-probe")
run.failures.groupby("words").times.sum()
"""

from __future__ import annotations

from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlmprobe._util.visible import visible
from vlmprobe.ledger import Ledger
from vlmprobe.models.protocols import Embedder
from vlmprobe.probe.outcome import Findings, findings
from vlmprobe.probe.reading import read
from vlmprobe.run.directory import ledger_of

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = ("image_key", "question", "answers", "reason", "times", "asked", "words")
SHOWN = 10  # failures in a notebook


class ProbeRun:
    """What a probe found, read from its folder when it is first looked at; another `ProbeRun` sees what came since.

    Args:
        folder: with `probe.yaml` and the ledger of `vlmprobe run`.

    Raises:
        ValueError: no such folder, or one in which nothing ran.

    Example:
        >>> ProbeRun("my-probe").failures.head()  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._ledger, self._probe = ledger_of(folder), read(folder)

    @cached_property
    def findings(self) -> Findings:
        """All of it, as the page has it."""
        with Ledger(self._ledger, read_only=True) as ledger:
            return findings(ledger, self._probe, self.folder)

    @property
    def failures(self) -> DataFrame:
        """A row for each failure, as often as it was seen, in the order of the page.

        `image_key`, `question`, `answers` (text to how often), `reason` (the verifier's words about the first), `times`
        (how often it failed), `asked` (how often it was valid, with an answer that was judged), `words` (the first).

        Raises:
            ModuleNotFoundError: pandas is not installed; `rows` has the same without it.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            if error.name != "pandas":
                raise
            raise ModuleNotFoundError(
                "[ProbeRun] failures: pandas is not installed: pip install pandas. Without it, `rows` has the same as "
                "a list, and `vlmprobe export DIR FILE` writes every question",
                name="pandas",
            ) from None
        return pandas.DataFrame(self.rows, columns=list(COLUMNS))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The failures as plain values, by the names of the columns."""
        return [
            {**{name: getattr(one, name) for name in COLUMNS[:-1]}, "answers": dict(one.answers), "words": each.words}
            for each in self.findings.beginnings
            for one in each.failing
        ]

    def numbers(self, embedder: Embedder | None = None) -> dict[str, Any]:
        """The paper's numbers and the probe's, as `vlmprobe report --json` prints them.

        Args:
            embedder: of the questions, for their diversity; by default MiniLM where it is installed.
        """
        if embedder is None:
            from vlmprobe.probe.session import embedder_of

            embedder = embedder_of(self._probe)
        return self.findings.numbers(embedder)

    def __repr__(self) -> str:
        found = self.findings
        counts = (
            f"{found.steps} steps, {len(found.tally)} questions, {found.tally.valid} valid, {found.failures} failures"
        )
        return f"ProbeRun({str(self.folder)!r}: {counts})"

    def _repr_html_(self) -> str:
        """The first failures as a table; every text is escaped, and what nobody sees is shown."""
        names = ("image_key", "question", "answers", "reason", "times", "asked")
        head = "".join(f"<th>{name}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(visible(_plain(row[name])))}</td>" for name in names) + "</tr>"
            for row in self.rows[:SHOWN]
        )
        return f"<p>{escape(visible(repr(self)))}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plain(value: Any) -> str:
    return "; ".join(value) if isinstance(value, dict) else str(value)
