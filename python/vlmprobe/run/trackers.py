"""The numbers of steps in other programs: TensorBoard, Weights & Biases, Trackio.

Where a number means what TRL's GRPOTrainer means by one, it has TRL's name, so that runs of both can be drawn over each
other; the others stand below `vlmprobe/`. As transformers does, `train/` is put before all of them.
"""

from __future__ import annotations

import atexit
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from vlmprobe._util.optional import require
from vlmprobe.loop.report import StepReport

SAME = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "reward": "reward",
    "reward_std": "reward_std",
    "kl": "kl",
    "entropy": "entropy",
    "clip_fraction": "clip_ratio/region_mean",
}
"""Our name -> TRL's, where both mean the same. Entropy and KL are nats per token, grad_norm is before the cut."""
OURS = (
    "questions", "posed", "valid", "asked", "wrong", "unscored", "calls", "tokens", "left_out", "degenerate",
    "changed",
)  # fmt: skip


class Tracker(Protocol):
    """Takes the numbers of each step."""

    def log(self, numbers: dict[str, float], step: int) -> None:
        """Takes them; `step` counts from 1."""


def numbers_of(report: StepReport) -> dict[str, float]:
    """The numbers of a step by the names under which they are shown; one that is not known is left out.

    `completions/mean_length` is in tokens. `frac_reward_zero_std` is the share of groups that teach nothing: all
    rewards are equal, or fewer than two of them are known.
    """
    found = {name: getattr(report, own) for own, name in SAME.items()}
    found["completions/mean_length"] = _share(report.tokens, report.sequences)
    found["frac_reward_zero_std"] = _share(report.degenerate, report.groups)
    found |= {f"vlmprobe/{name}": getattr(report, name) for name in OURS}
    found |= {f"vlmprobe/terms/{name}": value for name, value in report.terms.items()}
    found |= {f"vlmprobe/failed/{why}": count for why, count in report.why.items()}
    return {f"train/{name}": float(value) for name, value in found.items() if math.isfinite(value)}


class TensorBoard:
    """Event files in a folder. Steps that are made again take the place of what an earlier process wrote of them.

    Args:
        folder: where they are written.

    Raises:
        ModuleNotFoundError: TensorBoard is not installed; the message names the extra.
    """

    def __init__(self, folder: str | Path):
        require("tensorboard", extra="tensorboard")
        self.folder = Path(folder)
        self._writer: Any = None

    def log(self, numbers: dict[str, float], step: int) -> None:
        """See `Tracker`."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=step)
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()


class WandB:
    """A run of Weights & Biases: the one that was begun already, else a new one.

    Args:
        name: of the run.
    """

    def __init__(self, name: str):
        self._wandb: Any = require("wandb", extra="wandb")
        if self._wandb.run is None:
            self._wandb.init(project="vlmprobe", name=name)
        self._wandb.define_metric("train/global_step")
        self._wandb.define_metric("*", step_metric="train/global_step", step_sync=True)

    def log(self, numbers: dict[str, float], step: int) -> None:
        """See `Tracker`."""
        self._wandb.log({**numbers, "train/global_step": step})


class Trackio:
    """A run of Trackio; one of the same name goes on.

    Args:
        name: of the run.
    """

    def __init__(self, name: str):
        self._trackio: Any = require("trackio", extra="trackio")
        self._trackio.init(project="vlmprobe", name=name, resume="allow")
        atexit.register(self._trackio.finish)

    def log(self, numbers: dict[str, float], step: int) -> None:
        """See `Tracker`."""
        self._trackio.log(numbers, step=step)


NAMES = ("tensorboard", "wandb", "trackio")


def trackers_of(report_to: str | Tracker | Sequence[str | Tracker], *, folder: Path, name: str) -> list[Tracker]:
    """The trackers by their names; objects stay what they are.

    Args:
        report_to: some of NAMES, or of objects; one may stand alone.
        folder: in which TensorBoard's files get a folder of their own.
        name: of the run.

    Raises:
        ValueError: another name.
        ModuleNotFoundError: one that is not installed.
    """
    wanted = report_to if isinstance(report_to, list | tuple) else [report_to]
    return [_tracker(each, folder, name) for each in wanted]


def _tracker(wanted: Any, folder: Path, name: str) -> Tracker:
    if callable(getattr(wanted, "log", None)):
        return wanted
    if wanted == "tensorboard":
        return TensorBoard(folder / "tensorboard")
    if wanted in ("wandb", "trackio"):
        return WandB(name) if wanted == "wandb" else Trackio(name)
    raise ValueError(f"[Trainer] report_to: expected {', '.join(NAMES)} or an object with `log`, got {wanted!r:.60}")


def _share(part: int, of: int) -> float:
    return part / of if of else math.nan
