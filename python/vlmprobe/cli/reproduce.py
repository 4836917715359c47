"""`vlmprobe reproduce`: the paper's tables and figures, in the embedded world or with models of one's own.

The same command on the same folder goes on where an earlier one stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from vlmprobe._util.checks import check_count
from vlmprobe._util.files import write_text
from vlmprobe._util.visible import say
from vlmprobe.cli.demo import terminated
from vlmprobe.models.embedder import installed_embedder
from vlmprobe.report import paper_tables, read_results, write_paper
from vlmprobe.run.directory import plain
from vlmprobe.studies.config import parse, read
from vlmprobe.studies.plan import SCALES, TABLES, Arm, Scale, arms
from vlmprobe.studies.reproduce import ArmsFailed, run_all
from vlmprobe.studies.results import outcomes_of, results
from vlmprobe.studies.setup import FileSetup, Setup, WorldSetup
from vlmprobe.vlm.load import quiet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe reproduce`."""
    parser.add_argument("--run", metavar="DIR", default="runs/reproduce", help="its folder (%(default)s)")
    parser.add_argument("--config", metavar="FILE", help="JSON: models and pictures of one's own; docs/reproduce.md")
    parser.add_argument("--scale", choices=tuple(SCALES), help="sizes; paper where --config names models, else small")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], metavar="S", help="one seed or several (0)")
    parser.add_argument("--tables", type=int, nargs="+", choices=TABLES, default=list(TABLES), help="only these")
    parser.add_argument("--jobs", type=int, help="arms at once (the number of cores; 1 where --config names models)")
    parser.add_argument("--embedder", choices=("minilm", "hashed"), help="minilm where it is installed, else hashed")
    parser.add_argument("--dry-run", action="store_true", help="print the arms, and do nothing")
    parser.add_argument("--report-only", action="store_true", help="make the report of the arms that have ended")


def run(args: argparse.Namespace) -> int:
    """Runs what is missing, then writes the report; the last line printed is the page's path.

    Returns:
        0; 1 when an arm failed, of which each has said why.
    """
    setup, scale, name = settle(args)
    planned = arms(scale, tables=tuple(args.tables), world=setup.world)
    if args.dry_run:
        say(plan(planned, setup, scale, args.seed))
        return 0
    folder, began = Path(args.run), time.monotonic()
    quiet()
    if isinstance(setup, FileSetup):
        setup = setup.begun(folder)
    for source in (setup.pool, setup.held_out):  # which say what they lack before an arm runs
        check_count("reproduce", "images", len(source))
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(setup, FileSetup):
        setup.keep(folder)
    if not args.report_only:
        with terminated():
            jobs = args.jobs if args.jobs is not None else (os.cpu_count() or 1) if setup.world else 1
            try:
                run_all(
                    planned, setup, scale, folder, seeds=args.seed, jobs=jobs, say=lambda line: progress(began, line)
                )
            except ArmsFailed as error:
                say(f"vlmprobe reproduce: {error}", to=sys.stderr)
                return 1
    outcomes = outcomes_of(planned, folder, args.seed, setup, scale)
    found = plain(results(outcomes, setup, scale, only=sorted(set(args.tables)), seeds=args.seed, name=name))
    write_text(folder / "results.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    read = read_results(found)
    page = write_paper(folder, read)
    say(f"{paper_tables(read)}\n{page}")
    return 0


def settle(args: argparse.Namespace) -> tuple[Setup, Scale, str]:
    """The setup, the scale and its name.

    Raises:
        ValueError: a configuration that does not say enough, a seed out of range, or --scale paper without one.
    """
    for seed in args.seed:
        if not 0 <= seed < 2**32:
            raise ValueError(f"[reproduce] seed: expected 0 to 2**32 - 1, got {seed}")
    if len(set(args.seed)) != len(args.seed):
        raise ValueError(f"[reproduce] seed: expected different seeds, got {' '.join(map(str, args.seed))}")
    config = read(args.config) if args.config else {}
    own = set(config) - {"scale", "embedder"}  # models and pictures
    name = args.scale or ("paper" if own else "small")
    scale = SCALES[name].changed(dict(config.get("scale", {})))
    embedding = args.embedder or config.get("embedder") or installed_embedder()
    if own:
        return FileSetup(scale=scale, config=parse(config), embedding=embedding), scale, name
    if name == "paper":
        raise ValueError(
            "[reproduce] scale: expected --config with models and pictures for the paper's scale, got none"
        )
    return WorldSetup(scale=scale, embedding=embedding), scale, name


def plan(planned: list[Arm], setup: Setup, scale: Scale, seeds: list[int]) -> str:
    """The arms, a line each, and the answerer calls of all of them."""
    lines = [
        f"{arm.name:36} questioner {arm.questioner:7} answerer {arm.answerer:7} k {arm.k}  L {arm.prefix_length}  "
        f"{arm.reward:20} tables {', '.join(map(str, arm.tables))}"
        for arm in planned
    ]
    calls = len(seeds) * len(planned) * (scale.calls + scale.n)
    first = len(seeds) * sum(first_turns(arm, setup, scale) for arm in planned)
    more = f", and about {first} for first turns in ConMe's evaluation" if first else ""
    return "\n".join([*lines, f"{len(planned)} arms, {len(seeds)} seeds, {calls} answerer calls in all{more}"])


def first_turns(arm: Arm, setup: Setup, scale: Scale) -> int:
    """Answerer calls of first turns in the evaluation pass, where all questions are valid; on the pool they count among
    the arm's calls."""
    return -(-scale.n // arm.k) * setup.first_turn(arm.k) if arm.method in ("ConMe", "RL ConMe") else 0


def progress(began: float, line: str) -> None:
    """A line of progress on stderr."""
    say(f"[{time.monotonic() - began:5.0f} s] {line}", to=sys.stderr, flush=True)
