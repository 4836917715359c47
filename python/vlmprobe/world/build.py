"""Makes the world's models: `python -m vlmprobe.world.build --model NAME`, one of `tiny.MODELS`.

Stages, in the order that mattered in the prototype: the vision tower learns to name what stands where (linear heads
on the merged tokens); then questions and answers, many to a picture, packed under a block mask, with a description
of the whole scene among them; the learning rate falls to zero at the end. A broad questioner starts from the answerer
of its size at half its training and learns to ask: k valid questions in tags. The questioner of its size starts from
the broad one, see `vlmprobe.world.narrow`.

An interrupted build continues where it stopped, see `vlmprobe.world.teaching`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from vlmprobe._native import core
from vlmprobe.world import lessons, tiny
from vlmprobe.world.lessons import IGNORE, Batch
from vlmprobe.world.narrow import build_narrow
from vlmprobe.world.teaching import (
    TEST_SEED,
    TRAIN_SEED,
    Progress,
    logits_at_labels,
    optimizer,
    save,
    scenes_of,
    schedule,
    teach,
)

CALIBRATION_SEED = 3_000_003
CELL = 16  # pixels per merged token

NOVICES = {"small": 0.32, "medium": 0.25, "large": 0.20}
"""How often a novice may fail on habitual questions: near the paper's zero-shot FDR, and less for a larger model."""
NOVICE_VISION = 600  # steps of its vision tower alone, as of the others


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
def accuracy(
    model, processor, pictures: int = 512, questions: int = 24, *, seed: int = TEST_SEED, lesson=lessons.question_lesson
) -> dict[str, tuple[int, int]]:
    """Held-out accuracy as (right, asked) by family: the most likely first word of the answer."""
    model.eval()
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for step in range(pictures // 16):
        scenes = scenes_of(seed, step, 16)
        own = [
            [lesson(scene, seed, step * 16 + i, part) for part in range(questions)] for i, scene in enumerate(scenes)
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


def new_model(size: str, seed: int):
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(seed)
    return AutoModelForImageTextToText.from_config(tiny.config(size), attn_implementation="eager").float()


def build_answerer(size: str, work: Path, out: Path, steps: int, seed: int, report: Progress) -> None:
    processor, model = tiny.processor(), new_model(size, seed)
    if not (work / "answering.pt").exists():
        teach_vision(model, processor, max(1, steps // 5), report)

    def beside(step: int) -> bool:
        if step == steps // 2:
            model.save_pretrained(work / "half")
        if step and step % 500 == 0:
            report(stage="accuracy", step=step, overall=round(overall(accuracy(model, processor, 64)), 4))
        return False

    teach(
        model, lambda step: answering(processor, step, 24, 18), steps, 1.5e-3, work, report, "answering", beside=beside
    )
    graduate(model, processor, out, report)


def build_novice(size: str, work: Path, out: Path, steps: int, seed: int, report: Progress) -> None:
    """An answerer with fewer lessons, which also leaves early: at the first multiple of 50 steps at which it fails on
    at most `NOVICES` of the habitual questions about the calibration's pictures."""
    processor, model = tiny.processor(), new_model(size, seed)
    if not (work / "answering.pt").exists():
        teach_vision(model, processor, NOVICE_VISION, report)

    def good_enough(step: int) -> bool:
        if step % 50 or not step:
            return False
        habitual = accuracy(model, processor, 208, 6, seed=CALIBRATION_SEED, lesson=lessons.habitual_lesson)
        failing = 1 - overall(habitual)
        report(stage="calibration", step=step, failing=round(failing, 4), n=sum(n for _, n in habitual.values()))
        return failing <= NOVICES[size]

    teach(
        model,
        lambda step: answering(processor, step, 24, 18),
        steps,
        1.5e-3,
        work,
        report,
        "answering",
        beside=good_enough,
    )
    graduate(model, processor, out, report)


def graduate(model, processor, out: Path, report: Progress) -> None:
    """Saves an answerer, and reports how often it is right."""
    save(model, processor, out)
    by_family = accuracy(tiny.load_to_teach(out), processor)
    report(stage="result", overall=round(overall(by_family), 4), by_family=by_family)


def build_broad(size: str, work: Path, out: Path, steps: int, seed: int, report: Progress) -> None:
    torch.manual_seed(seed)
    processor = tiny.processor()
    model = tiny.load_to_teach(work / "half")
    teach(model, lambda step: asking(processor, step, 16, 8), steps, 8e-4, work, report, "asking")
    save(model, processor, out)
    report(stage="result", model=out.name)


def build_questioner(size: str, work: Path, out: Path, steps: int, seed: int, report: Progress) -> None:
    [broad] = [name for name, of in tiny.MODELS.items() if of == size and role_of(name) == "broad"]
    build_narrow(size, tiny.WEIGHTS / broad, work, out, steps, seed, report)


BUILDS = {"answerer": build_answerer, "novice": build_novice, "broad": build_broad, "questioner": build_questioner}
STEPS = {
    "answerer": 3000,
    "novice": 2000,
    "broad": 1000,
    "questioner": 1200,
    "questioner-medium": 1500,
}
"""Of a role, or of a model where it has steps of its own."""


def role_of(name: str) -> str:
    """Which of `BUILDS` makes a model."""
    return next((role for role in ("broad", "novice") if role in name), name.split("-")[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, choices=tuple(tiny.MODELS))
    parser.add_argument("--work", type=Path, help="where checkpoints and the log go; by default in runs/world")
    parser.add_argument("--out", type=Path, help="where the model goes; by default into the package")
    parser.add_argument("--steps", type=int, help=f"supervised steps, by default {STEPS}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name, role, size = arguments.model, role_of(arguments.model), tiny.MODELS[arguments.model]
    default = Path("runs/world") / (name if role == "novice" else size)
    work, out = arguments.work or default, arguments.out or tiny.WEIGHTS / name
    work.mkdir(parents=True, exist_ok=True)
    BUILDS[role](
        size, work, out, arguments.steps or STEPS.get(name, STEPS[role]), arguments.seed, Progress(work / f"{name}.log")
    )


if __name__ == "__main__":
    main()
