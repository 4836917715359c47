"""`vlmprobe reweight`: another reward over a probe, or a run of `vlmprobe train`, beside the first; nobody is asked."""

from __future__ import annotations

import argparse
import math
from statistics import fmean

from vlmprobe import reward
from vlmprobe._util.visible import say
from vlmprobe.cli import train
from vlmprobe.cli.demo import pick_embedder
from vlmprobe.cli.rejudge import folder_of, is_probe
from vlmprobe.ledger import Ledger
from vlmprobe.probe import build
from vlmprobe.probe.session import embedder
from vlmprobe.review.again import reweight
from vlmprobe.run.directory import RunDirectory, ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe reweight`."""
    parser.add_argument("folder", metavar="DIR", nargs="?", help="the folder of a probe, or of a run of vlmprobe train")
    parser.add_argument("--run", metavar="DIR", help="the same")
    parser.add_argument("--name", required=True, help="of the rewards, in the run's ledger")
    parser.add_argument("--reward", required=True, metavar="EXPRESSION", help="a preset's name or an expression")
    parser.add_argument("--base", metavar="NAME", help="the judging whose verdicts count; by default the run's own")


def run(args: argparse.Namespace) -> int:
    """Computes the rewards, and prints the mean of the new ones, and of the first where the run has some."""
    path = folder_of("reweight", args.folder, args.run)
    probed = is_probe(path)
    settings, expression = None if probed else train.settings_of(path), reward.parse(args.reward)
    ledger_of(path)
    with RunDirectory(path, quiet=True, resume=True) as folder:
        name = build.RUN if settings is None else train.RUN
        embed = embedder() if settings is None else pick_embedder(settings.embedder)
        reweight(folder.ledger, name, expression, embed, name=args.name, base=args.base)
        first = mean(folder.ledger, name)
        if not (probed and math.isnan(first)):
            say(f"reward of a sequence, mean: {first:+.4f} as the run was trained")
        say(f"reward of a sequence, mean: {mean(folder.ledger, name, args.name):+.4f} as {args.name}: {expression!r}")
    return 0


def mean(ledger: Ledger, run: str, judging: str | None = None) -> float:
    """Over the run's scored sequences."""
    values = []
    for step in ledger.each_step(run, judging=judging):
        values += [s.reward for s in step.sequences if s.reward is not None and math.isfinite(s.reward)]
    return fmean(values) if values else math.nan
