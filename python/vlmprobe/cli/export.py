"""`vlmprobe export`: a run's questions as one flat table, or its failures as a regression suite or for fine-tuning.

vlmprobe export my-probe questions.parquet         every question, with answer and verdict
vlmprobe export my-probe --suite suites/photos     the confirmed failures, frozen, with their pictures
    vlmprobe export my-probe --train train.jsonl       failures with right answers, as messages
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from vlmprobe._util.visible import say
from vlmprobe.exports.collect import Gathered, gathered, mode_rows, provenance, today
from vlmprobe.exports.formats import FORMATS, write
from vlmprobe.exports.references import beside
from vlmprobe.exports.suite import NAME, NO_LICENSE, freeze
from vlmprobe.exports.train import write_train
from vlmprobe.ledger import Ledger
from vlmprobe.modes.mode import Mode
from vlmprobe.modes.now import besides_now, modes_now
from vlmprobe.modes.record import Modes, main_run
from vlmprobe.probe.reading import read
from vlmprobe.probe.roles import WORLD
from vlmprobe.run.directory import ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe export`."""
    parser.add_argument("folder", metavar="DIR", nargs="?", help="the folder of a probe, or of another run")
    parser.add_argument("--run", metavar="DIR", help="the same")
    parser.add_argument("file", metavar="FILE", nargs="?", help="ends in .parquet or .jsonl; replaced whole")
    parser.add_argument("--suite", metavar="DIR", help="write the probe's confirmed failures as a regression suite")
    parser.add_argument("--train", metavar="FILE", help="write failures with right answers for fine-tuning (.jsonl)")
    parser.add_argument("--mode", nargs="+", metavar="ID", help="those of these failure modes alone")
    parser.add_argument("--all", action="store_true", help="every failure, also those of no failure mode")
    parser.add_argument(
        "--replay", type=float, default=0.0, metavar="X",
        help="for --train: X questions that were answered rightly for each failure (%(default)s)",
    )  # fmt: skip
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
    if args.suite is not None or args.train is not None:
        return _failures(Path(folder), args)
    with Ledger(ledger_of(folder), read_only=True) as ledger:
        count = ledger.export(file)
    say(f"{count} questions: {file}")
    return 0


def _places(args: argparse.Namespace) -> tuple[str, str]:
    """The folder of the run, and the file."""
    folder, file = args.folder, args.file
    alone = file is None and args.suite is None and args.train is None
    if alone and not Path(folder or "").is_dir():  # one word that is no folder is the file
        folder, file = None, folder
    if (folder is None) == (args.run is None):
        got = "none" if args.run is None else "two"
        raise ValueError(f"[export] DIR: expected one folder of a run, got {got}")
    wanted = [name for name, each in (("FILE", file), ("--suite", args.suite), ("--train", args.train)) if each]
    if len(wanted) != 1:
        raise ValueError(f"[export] expected FILE, --suite or --train, got {' and '.join(wanted) or 'none'}")
    return folder or args.run, file or ""


def _failures(folder: Path, args: argparse.Namespace) -> int:
    if args.replay and (args.train is None or not 0 <= args.replay < math.inf):
        raise ValueError(f"[export] --replay: expected a number of at least 0 beside --train, got {args.replay}")
    probe = read(folder)
    with Ledger(ledger_of(folder), read_only=True) as ledger, ExitStack() as stack:
        others = [stack.enter_context(Ledger(each, read_only=True)) for each in beside(folder)]
        found = modes_now(ledger, main_run(ledger))
        if found is None:
            raise ValueError("[export] too many questions to find failure modes beside: run vlmprobe modes first")
        modes = _chosen(found, args.mode)
        some = gathered(
            probe, folder, ledger, modes, others=others, every=args.all, replay=args.replay, besides=besides_now(ledger)
        )
        about = {
            "source": WORLD if probe.images.source == WORLD else "pictures",
            "provenance": provenance(ledger, found),
            "modes": mode_rows(modes),
        }
    if some.unread:
        say(f"{some.unread} failures were left out: their pictures cannot be read")
    if args.train is not None:
        count = write_train(Path(args.train), some.items, some.images)
        say(f"{count} of {len(some.items)} questions, those with a right answer: {args.train}")
        return 0
    return _suite(some, about, args)


def _chosen(found: Modes, ids: Sequence[str] | None) -> Sequence[Mode]:
    """The modes that hold, or those of them that are named.

    Raises:
        ValueError: an id of none.
    """
    known = {mode.id: mode for mode in found.holding}
    for id in ids or ():
        if id not in known:
            raise ValueError(f"[export] --mode: expected some of {', '.join(known) or 'none'}, got {id!r:.60}")
    return found.holding if ids is None else [known[id] for id in ids]


def _suite(some: Gathered, about: dict[str, Any], args: argparse.Namespace) -> int:
    name = args.name or Path(args.suite).name
    if not re.fullmatch(NAME, name):
        raise ValueError(f"[export] --name: expected letters, digits, '.', '_' and '-', got {name!r:.60}")
    head = {"name": name, "version": args.suite_version, "license": args.license, "created": today()}
    suite = freeze(Path(args.suite), some.items, some.images, {**head, **about})
    say(f"{suite!r}, {len(suite.modes)} failure modes, license {suite.about['license']}")
    for each in args.format:
        place, count = write(each, suite)
        say(f"{each}: {count} items: {place}")
    say(suite.folder)
    return 0
