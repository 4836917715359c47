"""`vlmprobe modesbench`: how good failure modes are, where the faults that are to be named are known.

    vlmprobe modesbench --random 21 22 23 24 25 26 --run runs/modesbench

Each fault set is planted in an answerer, asked about by the default prober, and its modes are found and confirmed by
fresh questions, under several conditions. The same command on the same folder goes on where an earlier one stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from vlmprobe._util.json import plain
from vlmprobe._util.optional import check_extras
from vlmprobe._util.visible import say
from vlmprobe.cli.demo import terminated
from vlmprobe.cli.plantedbench import sets_of
from vlmprobe.report.modesbench import modes_bench_table, modes_bench_text, write_modes_bench
from vlmprobe.studies.modesbench.run import CLOSER, run_one
from vlmprobe.studies.modesbench.settings import CONDITIONS, FRESH, runs_of
from vlmprobe.studies.modesbench.summary import plain_of, rows_of
from vlmprobe.studies.plantedbench.run import run_all
from vlmprobe.studies.plantedbench.settings import Settings
from vlmprobe.vlm.load import quiet

_WIDE = 160  # characters where there is no terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe modesbench`."""
    planted = parser.add_mutually_exclusive_group(required=True)
    planted.add_argument("--faults", nargs="+", metavar="FILE", help="JSON lists of faults, a set each")
    planted.add_argument("--random", nargs="+", type=int, metavar="SEED", help="sets of ten faults drawn at random")
    parser.add_argument(
        "--condition", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS), metavar="C",
        help=f"answerer and verifier: {', '.join(CONDITIONS)} (all of them)",
    )  # fmt: skip
    parser.add_argument("--budget", type=int, default=Settings.budget, help="answerer calls of a run (%(default)s)")
    parser.add_argument("--fresh", type=float, default=FRESH, help="of them, for fresh questions (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of asking (%(default)s)")
    parser.add_argument("--run", metavar="DIR", default="runs/modesbench", help="its folder (%(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="runs at once (the number of cores)")
    parser.add_argument("--json", action="store_true", help="print the numbers of the table as JSON")


def run(args: argparse.Namespace) -> int:
    """Makes the runs that are missing, then the table; the last line printed is the path of the table as Markdown.

    Raises:
        ValueError: sets as `vlmprobe plantedbench` has them, a seed out of range.
        ImportError: a package is missing; names the extra.
    """
    if not 0 <= args.seed < 2**32:
        raise ValueError(f"[modesbench] seed: expected 0 to 2**32 - 1, got {args.seed}")
    check_extras("hf", "minilm", "topics", "report")
    sets, folder, found = sets_of(args), Path(args.run), {}
    quiet()
    with terminated():
        for name in dict.fromkeys(args.condition):
            runs = runs_of(name, sets, budget=args.budget, fresh=args.fresh, seed=args.seed)
            (folder / name).mkdir(parents=True, exist_ok=True)
            say(f"{name}:", to=sys.stderr, flush=True)
            found[name] = run_all(
                runs, folder / name, jobs=args.jobs, one=run_one, say=lambda line: say(line, to=sys.stderr, flush=True)
            )
    table = modes_bench_table(found, notes=[_note(args)])
    page = write_modes_bench(folder, table, found)
    if args.json:
        say(json.dumps(plain(plain_of(rows_of(found))), indent=1, allow_nan=False))
    else:
        say(f"{modes_bench_text(table, width=shutil.get_terminal_size((_WIDE, 24)).columns)}\n{page}")
    return 0


def _note(args: argparse.Namespace) -> str:
    return (
        f"Each run: {args.budget:,} answerer calls, {args.fresh:g} of them for fresh questions, and {CLOSER:g} as many "
        f"on top to shrink examples; seed {args.seed}."
    )
