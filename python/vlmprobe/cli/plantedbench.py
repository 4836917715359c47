"""`vlmprobe plantedbench`: how many planted faults each way of asking finds, at equal answerer calls.

    vlmprobe plantedbench --method zero-shot bandit --random 1 2 3 4 5 6 --seed 0

The same command on the same folder goes on where an earlier one stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from vlmprobe._util.visible import say
from vlmprobe.cli.demo import terminated
from vlmprobe.report.planted import planted_table, planted_text, write_planted
from vlmprobe.studies.plantedbench.compare import compare
from vlmprobe.studies.plantedbench.faults import EACH, FaultList, at_random, of_file
from vlmprobe.studies.plantedbench.run import Run, run_all
from vlmprobe.studies.plantedbench.settings import ANSWERERS, METHODS, Settings
from vlmprobe.vlm.load import quiet

_WIDE = 160  # characters where there is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe plantedbench`."""
    default = Settings()
    parser.add_argument("--method", nargs="+", choices=METHODS, required=True, metavar="M", help=", ".join(METHODS))
    planted = parser.add_mutually_exclusive_group(required=True)
    planted.add_argument("--faults", nargs="+", metavar="FILE", help="JSON lists of faults, a set each")
    planted.add_argument("--random", nargs="+", type=int, metavar="SEED", help="sets of ten faults drawn at random")
    parser.add_argument("--budget", type=int, default=default.budget, help="answerer calls of a run (%(default)s)")
    parser.add_argument("--seed", nargs="+", type=int, default=[0], metavar="S", help="of asking; one or several (0)")
    parser.add_argument("--answerer", choices=ANSWERERS, default=default.answerer, help="whom faults are planted in")
    parser.add_argument("--control", action="store_true", help="the faults never fire: whatever is detected is none")
    parser.add_argument("--noise", type=float, metavar="P", help="how often the verifier is right (always)")
    parser.add_argument("--confirm", type=int, metavar="N", help="more verdicts on what a noisy verifier calls wrong")
    parser.add_argument("--weakness", metavar="FILE", help="conditions under which the verifier says wrong")
    parser.add_argument(
        "--fresh", type=float, metavar="SHARE",
        help="of the budget, for fresh questions that confirm the failure modes (none)",
    )  # fmt: skip
    parser.add_argument("--pool", type=int, default=default.pool, help="pictures (%(default)s)")
    parser.add_argument("--base", metavar="M", help="the method that others are held against (the first)")
    parser.add_argument("--run", metavar="DIR", default="runs/plantedbench", help="its folder (%(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once (the number of cores)")
    parser.add_argument("--json", action="store_true", help="print what came of the run, or a list of several, as JSON")


def run(args: argparse.Namespace) -> int:
    """Makes the runs that are missing, then the table; the last line printed is the path of the table as Markdown."""
    names = {field.name for field in fields(Settings)}
    given = {name: value for name, value in vars(args).items() if name in names}
    if args.weakness is not None:
        given["weakness"] = of_file(args.weakness).json
    settings = Settings(**given)
    base = args.base or args.method[0]
    if base not in args.method:
        raise ValueError(f"[plantedbench] base: expected one of {', '.join(args.method)}, got {base!r:.60}")
    for seed in args.seed:
        if not 0 <= seed < 2**32:
            raise ValueError(f"[plantedbench] seed: expected 0 to 2**32 - 1, got {seed}")
    methods, seeds = dict.fromkeys(args.method), dict.fromkeys(args.seed)
    runs = [
        Run(method=method, faults=faults, seed=seed, settings=settings)
        for faults in sets_of(args) for seed in seeds for method in methods
    ]  # fmt: skip
    quiet()
    folder = Path(args.run)
    folder.mkdir(parents=True, exist_ok=True)
    with terminated():
        found = run_all(runs, folder, jobs=args.jobs, say=lambda line: say(line, to=sys.stderr, flush=True))
    compared = compare(found, base=base)
    table = planted_table(compared, base=base, notes=notes(settings))
    page = write_planted(folder, table, compared)
    if args.json:
        say(json.dumps(found[0] if len(found) == 1 else found, indent=1, allow_nan=False))
    else:
        say(f"{planted_text(table, width=shutil.get_terminal_size((_WIDE, 24)).columns)}\n{page}")
    return 0


def sets_of(args: argparse.Namespace) -> list[FaultList]:
    """The sets of faults.

    Raises:
        ValueError: a file that cannot be read, two of one name, or a seed out of range.
    """
    for seed in args.random or ():
        if not 0 <= seed < 2**32:
            raise ValueError(f"[plantedbench] random: expected 0 to 2**32 - 1, got {seed}")
    found = [of_file(path) for path in args.faults] if args.faults else [at_random(seed) for seed in args.random]
    names = [faults.name for faults in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"[plantedbench] faults: expected sets of different names, got {twice!r:.60} twice")
    return found


def notes(settings: Settings) -> list[str]:
    """What the numbers are of, in words."""
    known: dict[str, Any] = vars(settings)
    what = ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
    return [
        f"A mass is the share of {settings.pool * EACH:,} valid questions that reach a fault, {EACH} about each "
        "picture of the pool, drawn as the world draws them: a family uniformly, then objects, attributes, phrasing.",
        f"Settings: {what}.",
    ]
