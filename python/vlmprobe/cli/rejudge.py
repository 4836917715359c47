"""`vlmprobe rejudge`: another verifier's verdicts on a probe, beside the first.

The answerer is not asked. The verdicts are kept in the run's ledger under a name; the same command goes on where an
earlier one stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from vlmprobe._util.json import plain
from vlmprobe._util.visible import say
from vlmprobe.ledger import Ledger
from vlmprobe.ledger.questions import is_correct, is_valid, recorded_questions
from vlmprobe.loop.tally import Tally
from vlmprobe.metrics import Rate
from vlmprobe.models.judges import check_other_model
from vlmprobe.models.protocols import Verifier
from vlmprobe.probe import build
from vlmprobe.probe.config import Probe
from vlmprobe.probe.reading import read
from vlmprobe.review.again import rejudge
from vlmprobe.run.directory import RunDirectory, ledger_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe rejudge`."""
    parser.add_argument("folder", metavar="DIR", nargs="?", help="the folder of a probe")
    parser.add_argument("--run", metavar="DIR", help="the same")
    parser.add_argument("--name", required=True, help="of the verdicts, in the run's ledger")
    parser.add_argument("--verifier", metavar="NAME@URL", help="who judges; by default the probe's own")
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="verifier.KEY=VALUE")
    parser.add_argument("--prompts", metavar="DIR", help="prompts for it, in the place of the package's")
    parser.add_argument("--json", action="store_true", help="print the rates of both, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Judges what is not judged yet, and prints the rates under both verifiers.

    Raises:
        ValueError: no folder, or two, or one of another command; a value that is not the verifier's.
        StepNotMade: no call of the verifier came through, or its budget is spent; the verdicts that are there stay.
    """
    path = folder_of("rejudge", args.folder, args.run)
    _check_sets(args.set)
    ledger_of(path)
    probe = read(path, _sets(args))
    with RunDirectory(path, quiet=True, resume=True) as folder:
        verifier = build.verifier_of(probe, path, folder.ledger, name=f"verifier, {args.name}")
        images = build.images_of(probe, path)
        _check_other(folder.ledger, verifier, probe)
        steps = rejudge(folder.ledger, build.RUN, verifier, images, name=args.name)
        if args.json:
            numbers = {"steps": steps, "verifier": verifier.identity, **rates(folder.ledger, build.RUN, args.name)}
            say(json.dumps(plain(numbers), indent=1, allow_nan=False))
            return 0
        say(f"{steps} steps judged by {verifier.identity}")
        say(compared(folder.ledger, build.RUN, args.name))
    return 0


def folder_of(command: str, folder: str | None, run: str | None) -> str:
    """The one folder that is named.

    Raises:
        ValueError: none, or two.
    """
    if folder is not None and run is not None:
        raise ValueError(f"[{command}] DIR: expected one folder of a run, got two")
    path = folder if folder is not None else run
    if path is None:
        raise ValueError(f"[{command}] DIR: expected one folder of a run, got none")
    return path


def compared(ledger: Ledger, run: str, name: str) -> str:
    """QVR and FDR as the run saw them and under the judging, and how many verdicts differ."""
    numbers = rates(ledger, run, name)
    lines = [f"{'':<24}{'QVR':>24}{'FDR':>24}"]
    for label, each in (("the run's own", numbers["own"]), (name, numbers["again"])):
        lines.append(f"{label:<24.24}{_shown(each['qvr']):>24}{_shown(each['fdr']):>24}")
    differ = numbers["differ"]
    lines.append(
        f"of {numbers['questions']} questions, {differ['validity']} differ in validity and {differ['correctness']} in "
        "correctness"
    )
    missing = [numbers["again"][rate]["unscored"] for rate in ("qvr", "fdr")]
    if any(missing):
        lines.append(f"{name}: no verdict on {missing[0]} questions and {missing[1]} answers")
    return "\n".join(lines)


def rates(ledger: Ledger, run: str, name: str) -> dict[str, Any]:
    """The same as plain values: `own`, `again`, `questions`, `differ`."""
    first, second = recorded_questions(ledger, run), recorded_questions(ledger, run, judging=name)
    pairs = list(zip((q for _, q in first.rows), (q for _, q in second.rows), strict=True))
    return {
        "name": name,
        "own": _rates(Tally.of(first.judged())),
        "again": _rates(Tally.of(second.judged())),
        "questions": len(pairs),
        "differ": {
            "validity": sum(is_valid(a) != is_valid(b) for a, b in pairs),
            "correctness": sum(is_correct(a) != is_correct(b) for a, b in pairs),
        },
    }


def _rates(tally: Tally) -> dict[str, dict[str, Any]]:
    return {name: _plain(rate) for name, rate in zip(("qvr", "fdr"), tally.rates(), strict=True)}


def _plain(rate: Rate) -> dict[str, Any]:
    return {"rate": rate.value, "interval": [rate.low, rate.high], "n": rate.n, "unscored": rate.n_unscored}


def _shown(rate: dict[str, Any]) -> str:
    low, high = rate["interval"]
    return f"{100 * rate['rate']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _check_other(ledger: Ledger, verifier: Verifier, probe: Probe) -> None:
    """The model under test does not grade itself here either."""
    identities = next((each.identities for each in ledger.runs() if each.id == build.RUN), {})
    asked: Any = SimpleNamespace(identity=identities.get("answerer", ""))
    check_other_model(asked, verifier, allow_same_model=probe.allow_same_model)


def _sets(args: argparse.Namespace) -> Sequence[str]:
    first = [] if args.verifier is None else [f"verifier={args.verifier}"]
    return [*first, *args.set, *([] if args.prompts is None else [f"prompts={args.prompts}"])]


def _check_sets(sets: Sequence[str]) -> None:
    other = [each for each in sets if not each.startswith(("verifier.", "verifier=", "pixels."))]
    if other:
        raise ValueError(f"[rejudge] --set: expected verifier.KEY=VALUE, got {other[0]!r:.60}")
