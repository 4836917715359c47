"""How the world's models are taught: supervised steps that can be interrupted, with a log, and what comes out of them.

Every step's data is a pure function of (seed, step), so an interrupted build continues where it stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from vlmprobe._native import core
from vlmprobe._util.visible import say
from vlmprobe.world.lessons import IGNORE, Batch

TRAIN_SEED, TEST_SEED = 1_000_003, 2_000_003


class Progress:
    """Prints one JSON line per report, and appends it to a file where there is one."""

    def __init__(self, path: Path | None):
        self.path, self.began = path, time.monotonic()

    def __call__(self, **values) -> None:
        line = json.dumps(values | {"seconds": round(time.monotonic() - self.began, 1)})
        say(line, flush=True)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(line + "\n")


def scenes_of(seed: int, step: int, count: int):
    return [core.world.sample_scene(seed, step * count + i) for i in range(count)]


def schedule(step: int, steps: int, peak: float, warmup: int = 100) -> float:
    """Linear warm-up, flat, then linear decay to zero over the last 40 %."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * min(1.0, (steps - step) / (0.4 * steps))


def optimizer(parameters, rate: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)


def logits_at_labels(model, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [N, V] and labels [N] of the supervised positions."""
    hidden = model.model(
        input_ids=batch.ids,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        pixel_values=batch.pixel_values,
        image_grid_thw=batch.grid,
        use_cache=False,
    ).last_hidden_state
    chosen = batch.labels != IGNORE
    return model.lm_head(hidden[chosen]).float(), batch.labels[chosen]


def teach(
    model,
    make: Callable[[int], Batch],
    steps: int,
    peak: float,
    work: Path,
    report: Progress,
    stage: str,
    *,
    every: int = 250,
    beside: Callable[[int], bool] = lambda step: False,
) -> None:
    """Supervised steps over `make(step)`, checkpointed every `every` steps in `work`. `beside` is told of each step
    before it is made, and says whether to end here."""
    step_of = optimizer(model.parameters(), peak)
    checkpoint, first = work / f"{stage}.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        step_of.load_state_dict(state["optimizer"])
        first = state["step"]
    model.train()
    for step in range(first, steps):
        if beside(step):
            break
        step_of.param_groups[0]["lr"] = schedule(step, steps, peak)
        with torch.autocast("cpu", torch.bfloat16):
            logits, labels = logits_at_labels(model, make(step))
        loss = F.cross_entropy(logits, labels)
        step_of.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        step_of.step()
        if step % 50 == 0:
            report(stage=stage, step=step, loss=round(loss.item(), 4))
        if (step + 1) % every == 0:
            state = {"model": model.state_dict(), "optimizer": step_of.state_dict(), "step": step + 1}
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").rename(checkpoint)


def save(model, processor, directory: Path) -> None:
    """A checkpoint in bfloat16 with its tokenizer and processor."""
    directory.mkdir(parents=True, exist_ok=True)
    model.eval().to(torch.bfloat16).save_pretrained(directory)
    processor.save_pretrained(directory)
