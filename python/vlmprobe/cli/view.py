"""`vlmprobe view`: the page of a run in a browser, on this machine alone, new whenever the run goes on."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from vlmprobe._util.visible import say
from vlmprobe.cli.report import page_of
from vlmprobe.report.run.serve import serve
from vlmprobe.run.directory import ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe view`."""
    parser.add_argument("folder", metavar="DIR", help="the folder of a run, which may be going on")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0: one that is free (%(default)s)")
    parser.add_argument("--images", metavar="DIR", help="pictures of a run that has no probe.yaml to say where")
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="a probe's value, such as a price")


def run(args: argparse.Namespace) -> int:
    """Serves the page until Ctrl-C; the first line printed is its address.

    Raises:
        ValueError: no folder of a run; no port.
        OSError: the port is in use.
    """
    folder = Path(args.folder)
    if not 0 <= args.port < 2**16:
        raise ValueError(f"[view] --port: expected 0 to 65535, got {args.port}")
    with serve(
        ledger_of(folder), partial(page_of, folder=folder, sets=args.set, images=args.images), args.port
    ) as server:
        try:
            say(server.address, flush=True)
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("ended")
    return 0
