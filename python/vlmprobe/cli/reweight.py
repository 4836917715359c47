"""`vlmprobe reweight`: another reward over a run of `vlmprobe train`, beside the first; no model is asked."""

from __future__ import annotations

import argparse
import math
from statistics import fmean

from vlmprobe import reward
from vlmprobe._util.visible import say
from vlmprobe.cli.demo import pick_embedder
from vlmprobe.cli.train import RUN, settings_of
from vlmprobe.ledger import Ledger
from vlmprobe.review.again import reweight
from vlmprobe.run.directory import RunDirectory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe reweight`."""
    parser.add_argument("--run", metavar="DIR", required=True, help="the run's folder")
    parser.add_argument("--name", required=True, help="of the rewards, in the run's ledger")
    parser.add_argument("--reward", required=True, metavar="EXPRESSION", help="a preset's name or an expression")
    parser.add_argument("--base", metavar="NAME", help="the judging whose verdicts count; by default the run's own")


def run(args: argparse.Namespace) -> int:
    """Computes the rewards, and prints the mean of the first and of the new ones."""
    settings, expression = settings_of(args.run), reward.parse(args.reward)
    with RunDirectory(args.run, resume=True) as folder:
        embedder = pick_embedder(settings.embedder)
        reweight(folder.ledger, RUN, expression, embedder, name=args.name, base=args.base)
        say(f"reward of a sequence, mean: {mean(folder.ledger):+.4f} as the run was trained")
        say(f"reward of a sequence, mean: {mean(folder.ledger, args.name):+.4f} as {args.name}: {expression!r}")
    return 0


def mean(ledger: Ledger, judging: str | None = None) -> float:
    """Over the run's scored sequences."""
    values = []
    for step in ledger.each_step(RUN, judging=judging):
        values += [s.reward for s in step.sequences if s.reward is not None and math.isfinite(s.reward)]
    return fmean(values) if values else math.nan
