"""`vlmprobe export`: a run's questions as one flat table, or its failures as a regression suite.

vlmprobe export my-probe questions.parquet         every question, with answer and verdict
vlmprobe export my-probe --suite suites/photos     the confirmed failures, frozen, with their pictures
"""

from __future__ import annotations

import argparse
import re
from contextlib import ExitStack
from pathlib import Path

from vlmprobe._util.visible import say
from vlmprobe.exports.collect import confirmed, items_of, mode_rows, provenance, today
from vlmprobe.exports.formats import FORMATS, write
from vlmprobe.exports.references import Reference, beside, references
from vlmprobe.exports.suite import NO_LICENSE, Suite, freeze
from vlmprobe.ledger import Ledger
from vlmprobe.modes.asked import asked_of
from vlmprobe.modes.now import modes_now
from vlmprobe.modes.record import Modes, main_run
from vlmprobe.probe import build
from vlmprobe.probe.build import RUN
from vlmprobe.probe.reading import read
from vlmprobe.probe.roles import WORLD
from vlmprobe.run.directory import ledger_of
from vlmprobe.run.pictures import recalled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe export`."""
    parser.add_argument("folder", metavar="DIR", nargs="?", help="the folder of a probe, or of another run")
    parser.add_argument("--run", metavar="DIR", help="the same")
    parser.add_argument("file", metavar="FILE", nargs="?", help="ends in .parquet or .jsonl; replaced whole")
    parser.add_argument("--suite", metavar="DIR", help="write the probe's confirmed failures as a regression suite")
    parser.add_argument("--all", action="store_true", help="every failure, also those of no failure mode")
    parser.add_argument("--name", help="of the suite (the name of its folder)")
    parser.add_argument("--suite-version", default="1.0.0", metavar="V", help="of the suite (%(default)s)")
    parser.add_argument("--license", default=NO_LICENSE, metavar="SPDX", help="of pictures and texts (%(default)s)")
    parser.add_argument(
        "--format", nargs="*", default=[], choices=FORMATS, metavar="NAME",
        help=f"write the suite also for other programs: {', '.join(FORMATS)}",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Writes the file or the suite; says how many rows it has.

    Raises:
        ValueError: no folder, or two; neither a file nor a suite; a run without a confirmed failure.
    """
    folder, file = _places(args)
    if args.suite is not None:
        return _suite(Path(folder), args)
    with Ledger(ledger_of(folder), read_only=True) as ledger:
        count = ledger.export(file)
    say(f"{count} questions: {file}")
    return 0


def _places(args: argparse.Namespace) -> tuple[str, str]:
    """The folder of the run, and the file."""
    folder, file = args.folder, args.file
    if args.run is not None and file is None:
        folder, file = None, folder
    if (folder is None) == (args.run is None):
        got = "none" if args.run is None else "two"
        raise ValueError(f"[export] DIR: expected one folder of a run, got {got}")
    if (file is None) == (args.suite is None):
        got = "neither" if file is None else "both"
        raise ValueError(f"[export] expected FILE or --suite, got {got}")
    return folder or args.run, file or ""


def _suite(folder: Path, args: argparse.Namespace) -> int:
    name = args.name or Path(args.suite).name
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"[export] --name: expected letters, digits, '.', '_' and '-', got {name!r:.60}")
    with Ledger(ledger_of(folder), read_only=True) as ledger, ExitStack() as stack:
        others = [stack.enter_context(Ledger(each, read_only=True)) for each in beside(folder)]
        found = modes_now(ledger, main_run(ledger))
        if found is None:
            raise ValueError("[export] too many questions to find failure modes beside: run vlmprobe modes first")
        suite, unread = _frozen(folder, name, ledger, found, references(ledger, others), args)
    say(f"{suite!r}, {len(suite.modes)} failure modes, license {suite.about['license']}")
    if unread:
        say(f"{unread} failures were left out: their pictures cannot be read")
    for each in args.format:
        place, count = write(each, suite)
        say(f"{each}: {count} items: {place}")
    say(suite.folder)
    return 0


def _frozen(
    folder: Path, name: str, ledger: Ledger, found: Modes, known: dict[tuple[str, str], Reference],
    args: argparse.Namespace,
) -> tuple[Suite, int]:  # fmt: skip
    probe = read(folder)
    failures = confirmed(asked_of(ledger, [RUN]), found.holding, every=args.all)
    images = recalled(build.images_of(probe, folder), ledger, RUN)
    pixels = {image.id: image.sha256 for step in ledger.each_step(RUN) for image in step.images}
    items, shown, unread = items_of(failures, images, pixels, known)
    about = {
        "name": name,
        "version": args.suite_version,
        "license": args.license,
        "created": today(),
        "source": WORLD if probe.images.source == WORLD else "pictures",
        "provenance": provenance(ledger, found),
        "modes": mode_rows(found.holding),
    }
    return freeze(Path(args.suite), items, shown, about), unread
