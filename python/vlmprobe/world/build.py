"""Makes the world's models: `python -m vlmprobe.world.build --model NAME`, one of `tiny.MODELS`.

Stages, in the order that mattered in the prototype: the vision tower learns to name what stands where (linear heads
on the merged tokens); then questions and answers, many to a picture, packed under a block mask, with a description
of the whole scene among them; the learning rate falls to zero at the end. A questioner starts from the answerer
of its size at half its training and learns to ask: k valid questions in tags.

Every step's data is a pure function of (seed, step), so an interrupted build continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from vlmprobe._native import core
from vlmprobe._util.visible import say
from vlmprobe.world import lessons, tiny
from vlmprobe.world.lessons import IGNORE, Batch

TRAIN_SEED, TEST_SEED = 1_000_003, 2_000_003
CELL = 16  # pixels per merged token


class Progress:
    """Prints and appends one JSON line per report."""

    def __init__(self, path: Path):
        self.path, self.began = path, time.monotonic()

    def __call__(self, **values) -> None:
        line = json.dumps(values | {"seconds": round(time.monotonic() - self.began, 1)})
        say(line, flush=True)
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


def dense_targets(scenes) -> torch.Tensor:
    """[I, 16, 7]: color, shape, size, texture of the object centred in the cell (-100: none), presence, x, y."""
    target = torch.full((len(scenes), 16, 7), -100.0)
    target[..., 4] = 0
    names = (core.world.colors, core.world.shapes, core.world.sizes, core.world.textures)
    for i, scene in enumerate(scenes):
        for o in scene.objects:
            column, row = min(3, int(o.x) // CELL), min(3, int(o.y) // CELL)
            kinds = [n.index(value) for n, value in zip(names, (o.color, o.shape, o.size, o.texture), strict=True)]
            place = [o.x / CELL - column - 0.5, o.y / CELL - row - 0.5]
            target[i, row * 4 + column] = torch.tensor([*kinds, 1.0, *place])
    return target


def dense_loss(heads: nn.Linear, features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    out = heads(features)
    color, shape, size, texture, present, place = out.split([6, 5, 2, 2, 1, 2], dim=-1)
    kinds = zip((color, shape, size, texture), target[..., :4].unbind(-1), strict=True)
    named = sum(F.cross_entropy(logits.flatten(0, 1), wanted.flatten().long()) for logits, wanted in kinds)
    there = target[..., 4]
    found = F.binary_cross_entropy_with_logits(present[..., 0], there)
    moved = (place - target[..., 5:]).square().sum(-1)[there > 0].mean()
    return named + found + moved


def teach_vision(model, processor, steps: int, report: Progress, batch: int = 32) -> None:
    """The vision tower alone, with dense supervision of its merged tokens."""
    heads = nn.Linear(model.config.vision_config.out_hidden_size, 18)
    parameters = [*model.model.visual.parameters(), *heads.parameters()]
    step_of = optimizer(parameters, 1e-3)
    for step in range(steps):
        step_of.param_groups[0]["lr"] = schedule(step, steps, 1.5e-3)
        scenes = scenes_of(TRAIN_SEED + 7, step, batch)
        pictures = [lessons.render(scene) for scene in scenes]
        pixels = processor.image_processor(pictures, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16):
            out = model.model.visual(pixels["pixel_values"], grid_thw=pixels["image_grid_thw"])
        features = out.pooler_output.float().view(batch, 16, -1)
        loss = dense_loss(heads, features, dense_targets(scenes))
        step_of.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        step_of.step()
        if step % 200 == 0 or step == steps - 1:
            report(stage="vision", step=step, loss=round(loss.item(), 4))


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


def answering(processor, step: int, pictures: int, questions: int) -> Batch:
    scenes = scenes_of(TRAIN_SEED, step, pictures)
    own = [
        [lessons.describe_lesson(scene)]
        + [lessons.question_lesson(scene, TRAIN_SEED, step * pictures + i, part) for part in range(questions)]
        for i, scene in enumerate(scenes)
    ]
    return lessons.collate(processor, scenes, own)


def asking(processor, step: int, pictures: int, sets: int) -> Batch:
    scenes = scenes_of(TRAIN_SEED + 1, step, pictures)
    own = [
        [
            lessons.asking_lesson(scene, TRAIN_SEED + 1, step * pictures + i, part, 1 + (step + part) % 4)
            for part in range(sets)
        ]
        for i, scene in enumerate(scenes)
    ]
    return lessons.collate(processor, scenes, own)


@torch.no_grad()
def accuracy(model, processor, pictures: int = 512, questions: int = 24) -> dict[str, tuple[int, int]]:
    """Held-out accuracy as (right, asked) by family: the most likely first word of the answer."""
    model.eval()
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for step in range(pictures // 16):
        scenes = scenes_of(TEST_SEED, step, 16)
        own = [
            [lessons.question_lesson(scene, TEST_SEED, step * 16 + i, part) for part in range(questions)]
            for i, scene in enumerate(scenes)
        ]
        batch = lessons.collate(processor, scenes, own)
        with torch.autocast("cpu", torch.bfloat16):
            logits, labels = logits_at_labels(model, batch)
        hit = torch.zeros_like(batch.labels, dtype=torch.bool)
        hit[batch.labels != IGNORE] = logits.argmax(-1) == labels
        for row, tags in enumerate(batch.tags):
            for position, family in tags:
                asked[family] += 1
                right[family] += int(hit[row, position])
    model.train()
    return {family: (right[family], asked[family]) for family in core.world.families}


def overall(by_family: dict[str, tuple[int, int]]) -> float:
    return sum(r for r, _ in by_family.values()) / sum(n for _, n in by_family.values())


def teach(
    model,
    processor,
    make,
    steps: int,
    peak: float,
    work: Path,
    report: Progress,
    stage: str,
    half=None,
    every: int = 250,
) -> None:
    """Supervised steps over `make(step)`, checkpointed every `every` steps in `work`."""
    step_of = optimizer(model.parameters(), peak)
    checkpoint, first = work / f"{stage}.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        step_of.load_state_dict(state["optimizer"])
        first = state["step"]
    model.train()
    for step in range(first, steps):
        if step == steps // 2 and half is not None:
            model.save_pretrained(half)
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
        if stage == "answering" and (step + 1) % 500 == 0:
            report(stage="accuracy", step=step + 1, overall=round(overall(accuracy(model, processor, 64)), 4))


def new_model(size: str, seed: int):
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(seed)
    return AutoModelForImageTextToText.from_config(tiny.config(size), attn_implementation="eager").float()


def load_model(directory: Path):
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(
        directory, attn_implementation="eager", dtype=torch.float32, local_files_only=True
    )


def save(model, processor, directory: Path) -> None:
    """A checkpoint in bfloat16 with its tokenizer and processor."""
    directory.mkdir(parents=True, exist_ok=True)
    model.eval().to(torch.bfloat16).save_pretrained(directory)
    processor.save_pretrained(directory)


def build_answerer(size: str, work: Path, out: Path, steps: int, seed: int, report: Progress) -> None:
    processor, model = tiny.processor(), new_model(size, seed)
    if not (work / "answering.pt").exists():
        teach_vision(model, processor, max(1, steps // 5), report)
    teach(
        model,
        processor,
        lambda step: answering(processor, step, 24, 18),
        steps,
        1.5e-3,
        work,
        report,
        "answering",
        half=work / "half",
    )
    save(model, processor, out)
    by_family = accuracy(load_model(out), processor)
    report(stage="result", overall=round(overall(by_family), 4), by_family=by_family)


def build_questioner(size: str, work: Path, out: Path, steps: int, seed: int, report: Progress) -> None:
    torch.manual_seed(seed)
    processor = tiny.processor()
    model = load_model(work / "half")
    teach(model, processor, lambda step: asking(processor, step, 16, 8), steps, 8e-4, work, report, "asking")
    save(model, processor, out)
    report(stage="result", model=out.name)


STEPS = {"answerer": 3000, "questioner": 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, choices=tuple(tiny.MODELS))
    parser.add_argument("--work", type=Path, help="where checkpoints and the log go; by default runs/world/SIZE")
    parser.add_argument("--out", type=Path, help="where the model goes; by default into the package")
    parser.add_argument("--steps", type=int, help="supervised steps (answerers 3000, questioners 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name, role = arguments.model, arguments.model.split("-")[0]
    size = tiny.MODELS[name]
    work = arguments.work or Path("runs/world") / size
    work.mkdir(parents=True, exist_ok=True)
    build = {"answerer": build_answerer, "questioner": build_questioner}[role]
    build(
        size,
        work,
        arguments.out or tiny.WEIGHTS / name,
        arguments.steps or STEPS[role],
        arguments.seed,
        Progress(work / f"{name}.log"),
    )


if __name__ == "__main__":
    main()
