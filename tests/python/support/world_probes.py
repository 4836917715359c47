"""Probes of the embedded world that are as small as they can be and still do everything, run by the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from vlmprobe import cli

SMALL: dict[str, Any] = {
    "images": {"source": "world", "n": 4},
    "questioner": "world",
    "answerer": "world",
    "verifier": "world",
    "method": "rl",
    "embedder": "hashed",
    "k": 2,
    "group_size": 2,
    "images_per_step": 2,
    "budget": {"calls": None},
    "training": {"learning_rate": 2e-4, "beta": 0.04, "checkpoint_every": 2},
}


def written(folder: Path, *, steps: int | None, **changes: Any) -> Path:
    """A folder with the file of a small probe."""
    content = {**SMALL, "budget": {"calls": None, "steps": steps}, **changes}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "probe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


RANDOM: dict[str, Any] = {
    "images": {"source": "world", "n": 16},
    "questioner": {"python": "vlmprobe.methods.random_valid:RandomValid"},
    "method": "zero-shot",
    "images_per_step": 8,
    "group_size": 2,
}
"""A probe that asks random valid questions, so that it ends in a second or two and has failures."""


def asked_at_random(folder: Path, *, calls: int) -> Path:
    """A probe of `RANDOM` that has ended."""
    written(folder, steps=None, **RANDOM, budget={"calls": calls})
    assert run(folder, "--quiet") == 0
    return folder


def run(folder: Path, *words: str) -> int:
    """The exit code of `vlmprobe run`."""
    return cli.main(["run", str(folder), *words])


def train(folder: Path, *words: str, steps: int | None = None, **changes: Any) -> int:
    """Writes the file where there is none, and runs so many steps in all."""
    if not (folder / "probe.yaml").exists():
        written(folder, steps=steps or 2, **changes)
    more = [] if steps is None else ["--set", f"budget.steps={steps}"]
    return run(folder, *more, *words)
