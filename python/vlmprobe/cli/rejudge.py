"""`vlmprobe rejudge`: another verifier's verdicts on a run of `vlmprobe train`, beside the first.

The answerer is not asked. The verdicts are kept in the run's ledger under a name; the same command goes on where an
earlier one stopped.
"""

from __future__ import annotations

import argparse

from vlmprobe._util.visible import say
from vlmprobe.cli.train import RUN, clients_of, settings_of
from vlmprobe.ledger import Ledger
from vlmprobe.ledger.questions import is_correct, is_valid, recorded_questions
from vlmprobe.loop.tally import Tally
from vlmprobe.metrics import Rate
from vlmprobe.models.protocols import Verifier
from vlmprobe.models.roles import read_roles
from vlmprobe.review.again import rejudge
from vlmprobe.run.directory import RunDirectory
from vlmprobe.world.source import POOL_SEED, WorldImages
from vlmprobe.world.verifiers import OracleVerifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe rejudge`."""
    parser.add_argument("--run", metavar="DIR", required=True, help="the run's folder")
    parser.add_argument("--name", required=True, help="of the verdicts, in the run's ledger")
    parser.add_argument("--models", metavar="FILE", help="JSON with the verifier; by default the world's truth judges")
    parser.add_argument("--prompts", metavar="DIR", help="prompts for it, in the place of the package's")


def run(args: argparse.Namespace) -> int:
    """Judges what is not judged yet, and prints the rates under both verifiers.

    Raises:
        StepNotMade: no call of the verifier came through, or its budget is spent; the verdicts that are there stay.
    """
    settings = settings_of(args.run)
    with RunDirectory(args.run, resume=True) as folder:
        verifier = verifier_of(args.models, args.prompts, folder.ledger)
        images = WorldImages(settings.pool, seed=POOL_SEED)
        steps = rejudge(folder.ledger, RUN, verifier, images, name=args.name)
        say(f"{steps} steps judged by {verifier.identity}")
        say(compared(folder.ledger, args.name))
    return 0


def verifier_of(models: str | None, prompts: str | None, ledger: Ledger) -> Verifier:
    """The file's verifier, or the world's oracle."""
    if models is None:
        return OracleVerifier()
    known = read_roles(models)
    if "verifier" not in known:
        raise ValueError(f"[rejudge] models: expected a verifier in {models}, got none")
    return clients_of({"verifier": known["verifier"]}, prompts, ledger)["verifier"]


def compared(ledger: Ledger, name: str) -> str:
    """QVR and FDR as the run saw them and under the judging, and how many verdicts differ."""
    first, second = recorded_questions(ledger, RUN), recorded_questions(ledger, RUN, judging=name)
    lines = [f"{'':<24}{'QVR':>24}{'FDR':>24}"]
    for label, each in (("the run's own", first), (name, second)):
        lines.append(f"{label:<24.24}" + "".join(f"{_rate(rate):>24}" for rate in Tally.of(each.judged()).rates()))
    pairs = list(zip((q for _, q in first.rows), (q for _, q in second.rows), strict=True))
    valid = sum(is_valid(a) != is_valid(b) for a, b in pairs)
    correct = sum(is_correct(a) != is_correct(b) for a, b in pairs)
    lines.append(f"of {len(pairs)} questions, {valid} differ in validity and {correct} in correctness")
    missing = [rate.n_unscored for rate in Tally.of(second.judged()).rates()]
    if any(missing):
        lines.append(f"{name}: no verdict on {missing[0]} questions and {missing[1]} answers")
    return "\n".join(lines)


def _rate(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
