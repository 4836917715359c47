"""`vlmprobe export`: a run's questions as one flat table for other programs."""

from __future__ import annotations

import argparse

from vlmprobe._util.visible import say
from vlmprobe.ledger import Ledger
from vlmprobe.run.directory import ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe export`."""
    parser.add_argument("folder", metavar="DIR", nargs="?", help="the folder of a probe, or of another run")
    parser.add_argument("--run", metavar="DIR", help="the same")
    parser.add_argument("file", metavar="FILE", help="ends in .parquet or .jsonl; replaced whole")


def run(args: argparse.Namespace) -> int:
    """Writes the file; says how many rows it has.

    Raises:
        ValueError: no folder, or two.
    """
    if (args.folder is None) == (args.run is None):
        got = "none" if args.run is None else "two"
        raise ValueError(f"[export] DIR: expected one folder of a run, got {got}")
    with Ledger(ledger_of(args.folder or args.run), read_only=True) as ledger:
        count = ledger.export(args.file)
    say(f"{count} questions: {args.file}")
    return 0
