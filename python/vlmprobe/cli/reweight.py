"""`vlmprobe reweight`: another reward over a probe, beside the first; nobody is asked."""

from __future__ import annotations

import argparse
import math
from statistics import fmean

from vlmprobe import reward
from vlmprobe._util.visible import say
from vlmprobe.cli.rejudge import folder_of
from vlmprobe.ledger import Ledger
from vlmprobe.probe.build import RUN
from vlmprobe.probe.reading import read
from vlmprobe.probe.session import embedder_of
from vlmprobe.review.again import reweight
from vlmprobe.run.directory import RunDirectory, ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe reweight`."""
    parser.add_argument("folder", metavar="DIR", nargs="?", help="the folder of a probe")
    parser.add_argument("--run", metavar="DIR", help="the same")
    parser.add_argument("--name", required=True, help="of the rewards, in the run's ledger")
    parser.add_argument("--reward", required=True, metavar="EXPRESSION", help="a preset's name or an expression")
    parser.add_argument("--base", metavar="NAME", help="the judging whose verdicts count; by default the run's own")


def run(args: argparse.Namespace) -> int:
    """Computes the rewards, and prints the mean of the new ones, and of the first where the run has some."""
    path = folder_of("reweight", args.folder, args.run)
    expression = reward.parse(args.reward)
    ledger_of(path)
    embedder = embedder_of(read(path))
    with RunDirectory(path, quiet=True, resume=True) as folder:
        reweight(folder.ledger, RUN, expression, embedder, name=args.name, base=args.base)
        first = mean(folder.ledger, RUN)
        if not math.isnan(first):
            say(f"reward of a sequence, mean: {first:+.4f} as the run was trained")
        say(f"reward of a sequence, mean: {mean(folder.ledger, RUN, args.name):+.4f} as {args.name}: {expression!r}")
    return 0


def mean(ledger: Ledger, run: str, judging: str | None = None) -> float:
    """Over the run's scored sequences."""
    values = []
    for step in ledger.each_step(run, judging=judging):
        values += [s.reward for s in step.sequences if s.reward is not None and math.isfinite(s.reward)]
    return fmean(values) if values else math.nan
