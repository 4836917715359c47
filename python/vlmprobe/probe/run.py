"""A probe's run in a notebook: asked, and looked at.

run = ProbeRun.ask("my-probe")     # as `vlmprobe run my-probe`; ProbeRun("my-probe") only reads
run.failures.groupby("words").times.sum()
run.gallery()
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image as PILImage

from vlmprobe._util.checks import check_count
from vlmprobe._util.html import Html, pairs, table, titled
from vlmprobe.data.source import ImageSource
from vlmprobe.data.thumbnail import thumbnail
from vlmprobe.ledger import Ledger
from vlmprobe.models.protocols import Embedder
from vlmprobe.probe.build import RUN, images_of
from vlmprobe.probe.outcome import Findings, findings
from vlmprobe.probe.reading import read
from vlmprobe.run.directory import ledger_of
from vlmprobe.world.finding import Find, finder

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

    @classmethod
    def ask(cls, folder: str | Path, *settings: str, quiet: bool = False) -> ProbeRun:
        """Asks as `vlmprobe run` does, until the budget of `probe.yaml` is spent, and gives what was found. A run that
        is there goes on.

        Args:
            folder: with `probe.yaml`.
            settings: `budget.calls=40`: values in the place of the file's, for this call.
            quiet: show no progress.

        Raises:
            ValueError: something does not work, so nothing was asked; or as in `vlmprobe.probe.session.run`.
            KeyboardInterrupt: Ctrl-C, at the end of the step that it came in. The same call goes on from there.
        """
        from vlmprobe.probe.check import check, working
        from vlmprobe.probe.session import run

        probe = read(folder, settings)
        findings = list(check(probe, folder))
        if not working(findings):
            wrong = "; ".join(f"{each.part}: {each.said}" for each in findings if not each.works)
            raise ValueError(f"[ProbeRun] ask: nothing was asked: {wrong}")
        run(probe, folder, quiet=quiet)
        return cls(folder)

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
        """The rates and the first failures; every text is escaped, and what nobody sees is shown."""
        found, names = self.findings, COLUMNS[:-1]
        rates = pairs(
            [
                ("valid (QVR)", Html(found.qvr._repr_html_())),
                ("of the valid ones wrong (FDR)", Html(found.fdr._repr_html_())),
                ("answerer calls", found.tally.spent),
            ]
        )
        rows = [[_plain(row[name]) for name in names] for row in self.rows[:SHOWN]]
        return titled(repr(self), rates, table(names, rows))

    def gallery(self, n: int = 24, *, side: int = 160) -> Html:
        """The first failures with their pictures, as a table for a notebook.

        Args:
            n: failures; those of the questions that fail most stand first, as in `failures`.
            side: pixels of the longer side of a picture. A picture that is not there any more is left out of its row.
        """
        check_count("ProbeRun.gallery", "n", n)
        check_count("ProbeRun.gallery", "side", side)
        names, find = COLUMNS[:-1], self._find()
        rows = [
            [_picture(find(row["image_key"]), side), *(_plain(row[name]) for name in names)] for row in self.rows[:n]
        ]
        return table(("", *names), rows)

    def _find(self) -> Find:
        with Ledger(self._ledger, read_only=True) as ledger:
            hashes = ledger.about(RUN).pictures
        try:
            images: ImageSource = images_of(self._probe, self.folder)
        except (ValueError, OSError):  # the source is not there any more
            images = []
        return finder(images, hashes)


def _plain(value: Any) -> Any:
    return "; ".join(value) if isinstance(value, dict) else value


def _picture(image: PILImage.Image | None, side: int) -> Html:
    return Html("" if image is None else f'<img alt="" src="{thumbnail(image, side)}">')
