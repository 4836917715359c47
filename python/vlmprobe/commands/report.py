"""`vlmprobe report`: a demo's page and summary once more, from its ledger alone."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path

from vlmprobe._visible import say
from vlmprobe.demo.command import pick_embedder, write_report
from vlmprobe.demo.outcome import Outcome, head
from vlmprobe.ledger import Ledger
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.run_directory import ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe report`."""
    parser.add_argument("--run", metavar="DIR", required=True, help="the folder of a finished demo")


def run(args: argparse.Namespace) -> int:
    """Writes both files; the last line printed is the page's path."""
    gc.freeze()  # what was imported is not gone through again with every million of rows that are read
    with Ledger(ledger_of(args.run), read_only=True) as ledger:
        hashed = head(ledger).identities["embedder"] == HashedNgramEmbedder().identity
        _, page = write_report(Outcome(ledger, pick_embedder("hashed" if hashed else "minilm")), Path(args.run))
    say(page)
    return 0
