"""The penalty of RL in the embedded world, by a rule: the paper does not publish its own.

    python -m vlmprobe.studies.calibrate --run DIR --out docs/results/reproduce/penalty.json

The rule: `lambda_penalty` is the smallest of `GRID` with which the share of valid questions is not lower after RL than
before it, on pictures and with a seed that no table is made of. lambda_scale stays 1/2, so that a failure earns at most
1, and everything else is the scale's. The rule looks at validity alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vlmprobe._util.files import write_text
from vlmprobe._util.visible import say
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import Ledger
from vlmprobe.loop.tally import Tally
from vlmprobe.methods import evaluation
from vlmprobe.run.directory import ledger_of, versions
from vlmprobe.studies.arms import EVALUATOR, done, folder_of, run_arm
from vlmprobe.studies.plan import SMALL, Arm, Scale
from vlmprobe.studies.setup import WorldSetup
from vlmprobe.vlm.load import quiet
from vlmprobe.world.source import WorldImages

GRID = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
SEED = 1000
PICTURES = 7_000_003, 7_000_004
"""Seeds of the pool and of the evaluation's pictures."""


@dataclass(frozen=True, kw_only=True)
class CalibrationSetup(WorldSetup):
    """The embedded world with pictures of its own."""

    @property
    def pool(self) -> ImageSource:
        return WorldImages(self.scale.pool, seed=PICTURES[0])

    @property
    def held_out(self) -> ImageSource:
        return WorldImages(self.scale.held_out, seed=PICTURES[1])


def valid_share(arm: Arm, scale: Scale, folder: Path) -> Mapping[str, Any]:
    """QVR of an arm's evaluation pass, by the evaluator, with n and interval; it is run where it has not ended."""
    place = folder / f"{folder_of(arm)}-{scale.lambda_penalty:g}"
    if not done(place):
        run_arm(arm, CalibrationSetup(scale=scale, embedding="hashed"), scale, place, seed=SEED, versions=versions())
    with Ledger(ledger_of(place), read_only=True) as ledger:
        asked = evaluation(ledger, arm.method, judging=EVALUATOR)
    qvr, _ = Tally.of(asked.judged()).rates()
    return asdict(qvr)


def tried(scale: Scale, folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and QVR of zero-shot, then of RL with each penalty up to the one that the rule takes."""
    base: dict[str, Any] = {"tables": (), "k": scale.k, "prefix_length": scale.prefix_length}
    untrained = valid_share(Arm(name="zero-shot", method="zero-shot", **base), scale, folder)
    yield "zero-shot", untrained
    for penalty in GRID:
        found = valid_share(Arm(name="RL", method="RL", **base), replace(scale, lambda_penalty=penalty), folder)
        yield f"{penalty:g}", found
        if found["value"] >= untrained["value"]:
            return
    raise RuntimeError(f"[calibrate] penalty: expected one of {GRID} to do, none did")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/calibration"), help="its folder (%(default)s)")
    parser.add_argument("--out", type=Path, help="a JSON file for what was found")
    arguments = parser.parse_args()
    quiet()
    torch.set_num_threads(1)
    found = {}
    for name, qvr in tried(SMALL, arguments.run):
        found[name] = qvr
        say(f"{name}: QVR {qvr['value']:.3f}", to=sys.stderr, flush=True)
    if arguments.out is not None:
        write_text(arguments.out, json.dumps({"qvr": found, "lambda_penalty": float(name)}, indent=1) + "\n")
    say(f"lambda_penalty {name}")


if __name__ == "__main__":
    main()
