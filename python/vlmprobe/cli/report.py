"""`vlmprobe report`: the page of a run of any kind, from its ledger."""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vlmprobe._util.json import plain
from vlmprobe._util.visible import say
from vlmprobe.cli.demo import PAGE, demo_page, write_report
from vlmprobe.data.opening import open_images
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import Ledger
from vlmprobe.modes.now import modes_now
from vlmprobe.modes.record import Modes, main_run
from vlmprobe.probe.build import RUN, images_of
from vlmprobe.probe.config import FILE, Probe
from vlmprobe.probe.guards import alarms_of
from vlmprobe.probe.outcome import Findings, findings
from vlmprobe.probe.reading import read
from vlmprobe.probe.session import embedder_of
from vlmprobe.report import write_run_page
from vlmprobe.report.page.probe import probe_known
from vlmprobe.report.run.build import Known, run_page
from vlmprobe.report.run.questions import Skills, skills_in
from vlmprobe.report.run.write import PageContent
from vlmprobe.run.directory import ledger_of
from vlmprobe.studies.demo.experiment import HEAD
from vlmprobe.studies.demo.outcome import Outcome
from vlmprobe.taxonomy.document import FILE as TAXONOMY
from vlmprobe.taxonomy.document import QUESTIONS, Taxonomy, read_taxonomy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe report`."""
    parser.add_argument("folder", metavar="DIR", nargs="?", help="the folder of a run")
    parser.add_argument("--run", metavar="DIR", help="the same")
    parser.add_argument("--out", metavar="DIR", help="where the page goes, and a demo's summary (the folder)")
    parser.add_argument("--images", metavar="DIR", help="pictures of a run that has no probe.yaml to say where")
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="a probe's value, such as a price")
    parser.add_argument("--json", action="store_true", help="print a probe's numbers, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Writes the page; the last line printed is its path (with --json it is in the object, as `report`).

    Raises:
        ValueError: no folder, or two; one without a run.
        OSError: the folder cannot be written.
    """
    folder = args.folder or args.run
    if folder is None or (args.folder and args.run):
        raise ValueError(f"[report] DIR: expected one folder of a run, got {'two' if folder else 'none'}")
    out = Path(args.out or folder)
    gc.freeze()  # what was imported is not gone through again with every million of rows that are read
    with Ledger(ledger_of(folder), read_only=True) as ledger:
        if (Path(folder) / FILE).is_file():
            _check_place(out)
            probe = read(folder, args.set)
            found, page = probe_page(ledger, probe, folder, out)
            if args.json:
                say(numbers_text(found, probe, page))
                return 0
        else:
            _check_place(out)
            if is_demo(ledger):
                page = write_report(Outcome(ledger), out)[1]
            else:
                page = write_run_page(out / PAGE, page_of(ledger, folder=folder, images=args.images))
    say(page)
    return 0


def numbers_text(found: Findings, probe: Probe, page: Path) -> str:
    """A probe's numbers as JSON, and where its page is."""
    return json.dumps(plain({**found.numbers(embedder_of(probe)), "report": str(page)}), indent=1, allow_nan=False)


def probe_page(
    ledger: Ledger, probe: Probe, folder: str | Path, out: Path, *, modes: Modes | None = None
) -> tuple[Findings, Path]:
    """What a probe found, and its page.

    Args:
        modes: its failure modes, where they are at hand.
    """
    found = findings(ledger, probe, folder)
    return found, write_run_page(out / PAGE, _of_probe(ledger, probe, folder, found, modes))


def page_of(ledger: Ledger, *, folder: str | Path, sets: Sequence[str] = (), images: str | None = None) -> PageContent:
    """The content of a run's page, whatever made the run.

    Args:
        ledger: of the folder.
        folder: of the run.
        sets: values of a probe in the place of its own, as `a.b=c`.
        images: pictures of a run that has no `probe.yaml`.

    Raises:
        ValueError: the ledger has no question; no such pictures.
    """
    if not ledger.counts().n_questions:
        raise ValueError(f"[report] {ledger.path}: expected a run with questions, got none")
    if (Path(folder) / FILE).is_file():
        probe = read(folder, sets)
        return _of_probe(ledger, probe, folder, findings(ledger, probe, folder), None)
    if is_demo(ledger):
        return demo_page(outcome := Outcome(ledger), outcome.summary())
    main = main_run(ledger)
    known = Known(
        title=f"Where the answerer of {main} fails",
        run=main,
        modes=modes_now(ledger, main),
        alarms=alarms_of(ledger, main),
    )
    return run_page(ledger, open_images(images) if images else [], known)


def is_demo(ledger: Ledger) -> bool:
    """Whether it is of a demo that has ended."""
    runs = ledger.progress()
    return any(run.run == HEAD for run in runs) and all(run.finished for run in runs)


def _of_probe(ledger: Ledger, probe: Probe, folder: str | Path, found: Findings, modes: Modes | None) -> PageContent:
    taxonomy = _taxonomy(folder)
    known = probe_known(
        found, title=f"Where {probe.answerer.model or probe.answerer.python} fails",
        modes=modes or modes_now(ledger, RUN), taxonomy=taxonomy, skills=_skills(folder, taxonomy),
    )  # fmt: skip
    return run_page(ledger, _pictures(probe, folder), known)


def _pictures(probe: Probe, folder: str | Path) -> ImageSource:
    """The probe's pictures; none where the source is not there any more."""
    try:
        return images_of(probe, folder)
    except (ValueError, OSError):
        return []


def _taxonomy(folder: str | Path) -> Taxonomy | None:
    """The folder's taxonomy; None where there is none, or none that can be read: a page is written all the same."""
    path = Path(folder) / TAXONOMY
    try:
        found = read_taxonomy(path) if path.is_file() else None
    except ValueError as error:
        say(f"{error}; the page shows no skills", to=sys.stderr)
        return None
    return found if found is not None and found.numbers else None


def _skills(folder: str | Path, taxonomy: Taxonomy | None) -> Skills | None:
    """Of the run's questions, by its taxonomy; None where there is none."""
    if taxonomy is None:
        return None
    return skills_in(Path(folder) / QUESTIONS, {each.id: each.label for each in taxonomy.skills}) or None


def _check_place(folder: Path) -> None:
    """Before everything is read."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"[report] {folder}: cannot be written ({error.strerror}); name another folder with --out"
        ) from error
