"""`vlmprobe train`: `vlmprobe run` on the embedded world, where the questioner learns.

It writes `probe.yaml` of the world where the folder has none, with what its arguments say, and runs it. The same
command on the same folder goes on where an earlier process stopped, however it stopped, and ends in the same bytes as
a run that nothing stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from vlmprobe._util.json import read_object
from vlmprobe.cli import run as probing
from vlmprobe.cli.init import ROLES, world_values, write
from vlmprobe.probe.config import FILE
from vlmprobe.probe.reading import changed, parse
from vlmprobe.probe.roles import WORLD

KEYS = {
    "steps": ("budget.steps", int, "training steps, those made already included (100)"),
    "checkpoint_every": ("training.checkpoint_every", int, "steps between checkpoints"),
    "seed": ("seed", int, "of sampling and image order"),
    "k": ("k", int, "questions per sequence"),
    "group_size": ("group_size", int, "sequences per image"),
    "images_per_step": ("images_per_step", int, "images per step"),
    "pool": ("images.n", int, "training pictures"),
    "learning_rate": ("training.learning_rate", float, "of AdamW"),
    "beta": ("training.beta", float, "weight of the KL term"),
    "reward": ("training.reward", str, "a preset's name or an expression"),
    "embedder": ("embedder", str, "minilm or hashed"),
    "faults": ("answerer.faults", str, "a JSON file of faults planted in the answerer"),
    "prompts": ("prompts", str, "a folder of prompts for models behind endpoints"),
}
"""Argument -> where its value stands in the file, its type, and what it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `vlmprobe train`; one that is left out is the file's own, or the world's in a new folder."""
    parser.add_argument("--run", metavar="DIR", required=True, help="the run's folder: a new one, or one to go on with")
    for name, (key, kind, text) in KEYS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="X", help=f"{key}: {text}")
    parser.add_argument(
        "--models", metavar="FILE", help="JSON: questioner, answerer or verifier in the place of the world's"
    )
    parser.add_argument("--set", metavar="A.B=C", action="append", default=[], help="any other value of the file")
    parser.add_argument("--from-step", type=int, metavar="N", help="go on from the checkpoint of step N")
    parser.add_argument("--quiet", action="store_true", help="print no progress")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, and nothing else, on stdout")


def run(args: argparse.Namespace) -> int:
    """Trains; see `vlmprobe.cli.run`."""
    given = [f"{key}={_seen(args, name)}" for name, (key, _, _) in KEYS.items() if getattr(args, name) is not None]
    roles: dict[str, Any] = {} if args.models is None else read_object("train", args.models)
    folder = Path(args.run)
    new = not (folder / FILE).is_file()
    if new:
        content = {**world_values("rl"), **dict.fromkeys(ROLES, WORLD), **roles, "method": "rl", "budget": _BUDGET}
        write(folder, parse(changed(content, [*given, *args.set]), where="train"))
    words = argparse.Namespace(folder=args.run, quiet=args.quiet, from_step=args.from_step, json=args.json)
    words.set, words.roles = [] if new else [*given, *args.set], {} if new else roles
    return probing.run(words)


_BUDGET = {"calls": None, "steps": 100}


def _seen(args: argparse.Namespace, name: str) -> Any:
    """A value; a path as it is seen from anywhere."""
    value = getattr(args, name)
    return str(Path(value).expanduser().absolute()) if name in ("faults", "prompts") else value
