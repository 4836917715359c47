"""`vlmprobe report`: a demo's page and summary once more, from its ledger alone."""

from __future__ import annotations

import argparse
import gc
import tempfile
from pathlib import Path

from vlmprobe._util.visible import say
from vlmprobe.cli.demo import pick_embedder, write_report
from vlmprobe.ledger import Ledger
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.run.directory import ledger_of
from vlmprobe.studies.demo.outcome import Outcome, head


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe report`."""
    parser.add_argument("--run", metavar="DIR", required=True, help="the folder of a finished demo")
    parser.add_argument("--out", metavar="DIR", help="where the page and the summary go (the run's folder)")


def run(args: argparse.Namespace) -> int:
    """Writes both files; the last line printed is the page's path.

    Raises:
        OSError: the folder cannot be written.
    """
    out = Path(args.out or args.run)
    gc.freeze()  # what was imported is not gone through again with every million of rows that are read
    with Ledger(ledger_of(args.run), read_only=True) as ledger:
        hashed = head(ledger).identities["embedder"] == HashedNgramEmbedder().identity
        _check_place(out)
        _, page = write_report(Outcome(ledger, pick_embedder("hashed" if hashed else "minilm")), out)
    say(page)
    return 0


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
