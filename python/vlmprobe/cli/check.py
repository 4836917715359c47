"""`vlmprobe check`: what of a probe works, what it will cost and how long it will take, before anything is spent."""

from __future__ import annotations

import argparse

from vlmprobe._util.visible import say
from vlmprobe.probe.check import check, forecast, table, working
from vlmprobe.probe.reading import read


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe check`."""
    parser.add_argument("folder", metavar="DIR", help="the probe's folder")
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="a value for this call")


def run(args: argparse.Namespace) -> int:
    """Prints the table; 0 where everything works, else 1."""
    probe = read(args.folder, args.set)
    findings = list(check(probe, args.folder))
    for line in table(findings, forecast(probe, findings)):
        say(line)
    return 0 if working(findings) else 1
