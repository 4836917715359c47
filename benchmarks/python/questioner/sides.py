"""One side of `questioner_update` in a process of its own: prints its phases' seconds and its peak of memory as JSON.

    python benchmarks/python/questioner/sides.py --side ours --steps 3 --threads 1 --group-size 8 --prompt 1000

The first step is a warm-up. Memory is the peak above what the process held with the model loaded.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch
from model import Shape, forbidden, model, pictures, processor, text

SIDES = ("ours", "ours_plain", "trl_compact", "trl_as_shipped")


class Phases:
    """Seconds of each phase, by step."""

    def __init__(self):
        self.seconds: dict[str, list[float]] = {}

    @contextmanager
    def of(self, name: str):
        start = time.perf_counter()
        yield
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)

    def wrap(self, owner, method: str, name: str) -> None:
        inner = getattr(owner, method)

        def timed(*args, **kwargs):
            with self.of(name):
                return inner(*args, **kwargs)

        setattr(owner, method, timed)


def our_questioner(shape: Shape, packing: str):
    """A questioner that trains the same model on the same prompts, and its pictures."""
    from vlmprobe.data.image import Image
    from vlmprobe.models.hf import VisionLanguageModel
    from vlmprobe.questioner import Questioner

    policy = VisionLanguageModel(model(), processor(shape), identity="random")
    policy.banned_ids = forbidden()
    prompt = text(shape) + " {k}"
    questioner = Questioner(policy, prompt=prompt, max_new_tokens=shape.completion, packing=packing, reference=policy)
    return questioner, [Image(i, f"{i}.png", picture) for i, picture in enumerate(pictures(shape))]


def ours(shape: Shape, steps: int, packing: str) -> Phases:
    from vlmprobe import grpo

    questioner, images = our_questioner(shape, packing)
    policy = questioner.model
    optimizer = torch.optim.AdamW(questioner.parameters(), lr=1e-6)
    phases = Phases()
    reset_peak()
    for step in range(steps):
        with phases.of("total"):
            with phases.of("generation"):
                rollouts = questioner.ask(images, k=1, group_size=shape.group_size, seed=1, step=step)
            rewards = torch.rand(len(rollouts), generator=torch.Generator().manual_seed(step))
            advantages = grpo.group_advantages(rewards, group=rollouts.group).values
            with phases.of("forward"):
                loss = questioner.loss(rollouts, advantages, options=grpo.TRL).loss
            with phases.of("backward"):
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
            with phases.of("optimiser"):
                torch.nn.utils.clip_grad_norm_(questioner.parameters(), 1.0)
                optimizer.step()
        assert rollouts.mask.all() and rollouts.tokens.shape[1] == shape.completion
        assert rollouts.prompts.ids.shape[1] == shape.prompt, rollouts.prompts.ids.shape
        assert int((rollouts.prompts.ids[0] == policy.model.config.image_token_id).sum()) == shape.image_tokens
    return phases


def trl_trainer(shape: Shape, steps: int, *, compact: bool):
    """TRL's trainer over the same model, prompts and sampling."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
    from trl.trainer import utils

    if compact:  # project the completion's positions only, as where there is Triton; the same numbers
        utils._use_triton = lambda device: True
    message = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text(shape) + " 1"}]}]
    rows = [{"prompt": message, "image": picture} for picture in pictures(shape)]
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(), max_steps=steps, per_device_train_batch_size=shape.prompts * shape.group_size,
        num_generations=shape.group_size, max_completion_length=shape.completion, gradient_checkpointing=False,
        beta=0.0, loss_type="grpo", num_iterations=1, steps_per_generation=1, gradient_accumulation_steps=1,
        temperature=1.0, top_p=1.0, top_k=0, learning_rate=1e-6, bf16=False, use_cpu=True, report_to=[],
        save_strategy="no", logging_strategy="no", disable_tqdm=True, shuffle_dataset=False,
        remove_unused_columns=False, generation_kwargs={"suppress_tokens": forbidden()},
    )  # fmt: skip

    def reward(completion_ids, **others):
        assert all(len(ids) == shape.completion for ids in completion_ids)
        return [ids[0] / 32000 for ids in completion_ids]

    return GRPOTrainer(
        model=model(), reward_funcs=reward, args=config, train_dataset=Dataset.from_list(rows),
        processing_class=processor(shape),
    )  # fmt: skip


def trl(shape: Shape, steps: int, *, compact: bool) -> Phases:
    from transformers import TrainerCallback

    trainer, phases = trl_trainer(shape, steps, compact=compact), Phases()

    class Total(TrainerCallback):
        def on_step_begin(self, *args, **kwargs):
            self.start = time.perf_counter()

        def on_step_end(self, *args, **kwargs):
            phases.seconds.setdefault("total", []).append(time.perf_counter() - self.start)

    trainer.add_callback(Total())
    phases.wrap(trainer, "_generate_and_score_completions", "generation")
    phases.wrap(trainer, "compute_loss", "forward")
    phases.wrap(trainer.accelerator, "backward", "backward")
    seen = []
    inner = trainer._compute_loss
    trainer._compute_loss = lambda network, inputs: (seen.append(inputs), inner(network, inputs))[1]
    reset_peak()
    trainer.train()
    for inputs in seen:  # the picture is really there, and the sizes are those of ours
        assert inputs["completion_mask"].all() and inputs["completion_ids"].shape[1] == shape.completion
        assert inputs["prompt_ids"].shape == (shape.prompts * shape.group_size, shape.prompt), inputs[
            "prompt_ids"
        ].shape
        assert len(inputs["pixel_values"]) == len(inputs["prompt_ids"]) * shape.image_tokens * 4
    parts = zip(*(phases.seconds[name] for name in ("total", "generation", "forward", "backward")), strict=True)
    phases.seconds["optimiser"] = [total - sum(rest) for total, *rest in parts]
    return phases


def reset_peak() -> None:
    global _before
    Path("/proc/self/clear_refs").write_text("5")
    _before = status("VmRSS")


def status(name: str) -> int:
    """Bytes."""
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(name))
    return int(line.split()[1]) * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", choices=SIDES, required=True)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--group-size", type=int, default=Shape.group_size)
    parser.add_argument("--prompt", type=int, default=Shape.prompt)
    parser.add_argument("--completion", type=int, default=Shape.completion)
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    shape = Shape(arguments.group_size, arguments.prompt, arguments.completion)
    out, sys.stdout = sys.stdout, sys.stderr
    if arguments.side.startswith("ours"):
        phases = ours(shape, arguments.steps, "plain" if arguments.side == "ours_plain" else "auto")
    else:
        phases = trl(shape, arguments.steps, compact=arguments.side == "trl_compact")
    peak = (status("VmHWM") - _before) / 1e6
    kept = {name: seconds[1:] for name, seconds in phases.seconds.items()}
    print(json.dumps({"side": arguments.side, "seconds": kept, "peak_mb": peak}), file=out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
