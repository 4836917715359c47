"""`vlmprobe evaluate`: a regression suite's questions asked of an answerer, for continuous integration.

    vlmprobe evaluate --suite suites/photos --config probe.yaml --fail-under 0.9 --junit junit.xml
    vlmprobe evaluate --suite suites/world --world-answerer answerer-novice

Each call begins anew, unless the one before was stopped before its end: that one is gone on with, and nothing that it
paid for is asked again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from vlmprobe._util.json import plain, read_text
from vlmprobe._util.visible import say
from vlmprobe.cli.answering import begin, judges
from vlmprobe.cli.compare import progress
from vlmprobe.exports.evaluate import Evaluated, evaluate
from vlmprobe.exports.junit import write_junit
from vlmprobe.exports.suite import Suite, read_suite
from vlmprobe.ledger import Ledger
from vlmprobe.metrics import Rate
from vlmprobe.probe.build import RUN
from vlmprobe.probe.config import Probe
from vlmprobe.probe.reading import changed, parse
from vlmprobe.probe.roles import CONNECTION
from vlmprobe.report.table import format
from vlmprobe.run.directory import RunDirectory
from vlmprobe.run.frozen import PHASE

BELOW, UNSCORED = 1, 5
"""Exit codes: the rate is below the limit; too many items have no verdict for a rate."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe evaluate`."""
    parser.add_argument("--suite", metavar="DIR", required=True, help="of vlmprobe export --suite")
    parser.add_argument("--config", metavar="FILE", help="YAML with `answerer` and `verifier`, such as a probe.yaml")
    parser.add_argument("--world-answerer", metavar="NAME", help="world, or one of the embedded world's models")
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="a value for this call")
    parser.add_argument("--fail-under", type=float, default=0.0, metavar="RATE", help="exit code 1 below (%(default)s)")
    parser.add_argument(
        "--max-unscored", type=float, default=0.1, metavar="SHARE",
        help="exit code 5 where a larger share has no verdict (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--junit", metavar="FILE", help="write the result as JUnit")
    parser.add_argument("--out", metavar="DIR", help="where the calls are kept (runs/evaluate/NAME of the suite)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Asks, prints the rates, and says by its code how it went.

    Returns:
        0; `BELOW` or `UNSCORED`.

    Raises:
        ValueError: a suite, a file or a limit that is none.
        StepNotMade: no call of a model came through, or a budget is spent; the same command goes on.
    """
    for name in ("fail_under", "max_unscored"):
        if not 0 <= getattr(args, name) <= 1:
            raise ValueError(f"[evaluate] --{name.replace('_', '-')}: expected a share, got {getattr(args, name)}")
    suite = read_suite(args.suite)
    probe, folder = probe_of(suite, args)
    place = Path(args.out) if args.out else Path("runs") / "evaluate" / suite.name
    place.parent.mkdir(parents=True, exist_ok=True)
    with RunDirectory(place, quiet=True, resume=True) as out:
        config = config_of(suite, probe)
        name = run_of(out.ledger, config)
        who = judges(probe, folder, out.ledger, run=name)
        begin(out.ledger, name, who, **config)
        found = evaluate(suite, who.answerer, who.verifier, out.ledger, name, on_step=progress)
        out.ledger.finish(name)
    if args.junit:
        write_junit(found, Path(args.junit))
    identities = {"answerer": who.answerer.identity, "verifier": who.verifier.identity}
    if args.json:
        say(json.dumps(plain({**identities, **found.plain()}), indent=1, allow_nan=False))
    else:
        say(text(found, who.answerer.identity))
    return _code(found, args)


def probe_of(suite: Suite, args: argparse.Namespace) -> tuple[Probe, Path]:
    """Who answers and judges, and the folder from which paths are seen.

    Raises:
        ValueError: neither a file nor an answerer of the world, or both; a file without a role.
    """
    if (args.config is None) == (args.world_answerer is None):
        got = "neither" if args.config is None else "both"
        raise ValueError(f"[evaluate] expected --config or --world-answerer, got {got}")
    asker: Any = {"model": "nobody", "endpoint": ["http://127.0.0.1:9/v1"]}  # is asked nothing
    shown = {"images": "world" if suite.of_world else str(suite.folder), "questioner": asker, "method": "zero-shot"}
    if args.config is None:
        name = args.world_answerer
        role = name if name.partition(":")[0] == "world" else f"world:{name}"
        return parse(changed({**shown, "answerer": role, "verifier": "world"}, args.set)), Path()
    file = Path(args.config)
    try:
        content = yaml.safe_load(read_text("evaluate", file))
    except yaml.YAMLError as error:
        raise ValueError(f"[evaluate] {file}: expected YAML ({' '.join(str(error).split())})") from None
    for role in ("answerer", "verifier"):
        if not isinstance(content, dict) or role not in content:
            raise ValueError(f"[evaluate] {file}: {role}: expected a key, got none")
    kept = {name: content[name] for name in _KEPT if name in content}
    return parse(changed({**kept, **shown}, args.set), where=str(file)), file.parent


_KEPT = ("answerer", "verifier", "pixels", "prompts", "allow_same_model")


def config_of(suite: Suite, probe: Probe) -> dict[str, Any]:
    """What makes two evaluations the same."""
    roles = {name: getattr(probe, name).model_dump(exclude=set(CONNECTION)) for name in ("answerer", "verifier")}
    return {"suite": suite.about["content_sha256"], **roles}


def run_of(ledger: Ledger, config: Mapping[str, Any]) -> str:
    """Name of the evaluation that goes on, where the last one is the same and was stopped; else of a new one."""
    runs, times = ledger.runs(), ledger.times()
    stopped = bool(times) and times[-1][1] is None
    same = stopped and {**runs[-1].config} == {"pass": PHASE, **config}
    return f"{RUN}-{len(runs) + (not same)}"


def text(found: Evaluated, answerer: str) -> str:
    """A line for each mode, and one for all."""
    names = found.suite.modes
    rows: list[tuple[str, ...]] = [("right", "of", "rate, %", "no verdict", "id", "failure mode")]
    rows += [_row(rate, id, names.get(id, "of no mode")) for id, rate in found.by_mode.items()]
    rows.append(_row(found.rate, "", "all"))
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
    about = found.suite.about
    return "\n".join([f"{found.suite.name} {about['version']}: {format.line(answerer, 200)}", *lines])


def _row(rate: Rate, id: str, name: str) -> tuple[str, ...]:
    value, low, high = (format.percent(each) for each in (rate.value, rate.low, rate.high))
    right = round(rate.value * rate.n) if rate.n else 0
    counts = [format.count(each) for each in (right, rate.n, rate.n_unscored)]
    return counts[0], counts[1], f"{value} [{low}, {high}]", counts[2], id, format.line(name, 200)


def _code(found: Evaluated, args: argparse.Namespace) -> int:
    if found.unscored > args.max_unscored or not found.rate.n:
        say(
            f"{format.percent(found.unscored)} % of the items have no verdict (--max-unscored "
            f"{args.max_unscored:g}): nothing is said about the answerer",
            to=sys.stderr,
        )
        return UNSCORED
    if found.rate.value < args.fail_under:
        say(f"{format.percent(found.rate.value)} % right, below --fail-under {args.fail_under:g}", to=sys.stderr)
        return BELOW
    return 0
