"""`vlmprobe run`: asks, answers and judges as `probe.yaml` says, and goes on where an earlier call stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from vlmprobe._util.visible import say
from vlmprobe.cli.demo import terminated
from vlmprobe.cli.report import numbers_text, probe_page
from vlmprobe.ledger import Ledger
from vlmprobe.metrics import Rate
from vlmprobe.models.service import StepNotMade
from vlmprobe.modes.now import modes_now
from vlmprobe.probe.build import RUN
from vlmprobe.probe.check import check, forecast, table, working
from vlmprobe.probe.config import Probe
from vlmprobe.probe.outcome import scored_in
from vlmprobe.probe.reading import read
from vlmprobe.probe.session import run as ask
from vlmprobe.probe.session import scored
from vlmprobe.report.modes import headline
from vlmprobe.report.table.format import line
from vlmprobe.run.directory import ledger_of

WIDEST = 500
"""Characters of a line about a failure mode."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe run`."""
    parser.add_argument("folder", metavar="DIR", help="the probe's folder")
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="a value for this call")
    parser.set_defaults(roles={})
    parser.add_argument("--quiet", action="store_true", help="print no progress")
    parser.add_argument(
        "--from-step", type=int, metavar="N", help="where method is rl: go on from the checkpoint of step N"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Asks until the budget is spent, and writes the page; the last line is its path (with --json it is in the object,
    as `report`).

    Returns:
        0; 1 where something does not work, or nothing at all was scored.

    Raises:
        KeyboardInterrupt, BudgetSpent, Unserved: as of `vlmprobe.probe.session.run`; the page of what was scored before
            is written then, too.
    """
    probe = read(args.folder, args.set, args.roles)
    findings = list(check(probe, args.folder))
    if not working(findings):
        for line in table(findings, {}):
            say(line, to=sys.stderr)
        say("nothing was asked: put this right first", to=sys.stderr)
        return 1
    if not args.quiet:
        for line in table(findings, forecast(probe, findings)):
            say(line, to=sys.stderr)
    folder = Path(args.folder)
    try:
        with terminated():
            found = ask(probe, folder, quiet=args.quiet, from_step=args.from_step)
    except (KeyboardInterrupt, StepNotMade):
        try:
            _say_page(probe, folder, args.json)
        except (ValueError, OSError) as error:  # what ended the run is said all the same
            say(f"no page was written: {error}", to=sys.stderr)
        raise
    qvr, fdr = found.rates()
    if not args.json:
        rates = f"QVR {_percent(qvr)}, FDR {_percent(fdr)}"
        say(f"{len(found)} questions, {found.valid} valid, {found.wrong} wrong answers; {rates}")
    if not scored(found):
        say("no answer to a valid question was judged: the ledger has the reasons", to=sys.stderr)
        return 1
    _say_page(probe, folder, args.json)
    return 0


def _say_page(probe: Probe, folder: Path, as_json: bool) -> None:
    """Writes the page and prints the worst failure mode and its path, or the numbers, where the ledger has something
    that was scored."""
    if not (folder / "ledger.sqlite").is_file():
        return
    with Ledger(ledger_of(folder), read_only=True) as ledger:
        if scored_in(ledger):
            modes = modes_now(ledger, RUN)
            outcome, page = probe_page(ledger, probe, folder, folder, modes=modes)
            worst = f"{line(headline(modes), WIDEST)}\n" if modes is not None else ""
            say(numbers_text(outcome, probe, page) if as_json else f"{worst}{page}")


def _percent(rate: Rate) -> str:
    if not rate.n:
        return "unknown"
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
