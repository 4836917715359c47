"""`vlmprobe export`: a run's questions as one flat table for other programs."""

from __future__ import annotations

import argparse

from vlmprobe._util.visible import say
from vlmprobe.ledger import Ledger
from vlmprobe.run.directory import ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe export`."""
    parser.add_argument("--run", metavar="DIR", required=True, help="the run's folder")
    parser.add_argument("file", metavar="FILE", help="ends in .parquet or .jsonl; replaced whole")


def run(args: argparse.Namespace) -> int:
    """Writes the file; says how many rows it has."""
    with Ledger(ledger_of(args.run), read_only=True) as ledger:
        count = ledger.export(args.file)
    say(f"{count} questions: {args.file}")
    return 0
