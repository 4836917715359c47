"""TRL's GRPOTrainer on one update: generation, loss, backward, AdamW step, through the trainer's own methods.

`compact` is what TRL does where it has Triton: its head projects the completion's positions alone. As shipped, on a
CPU, it projects the prompt's too. Everything is as the trainer does it; only the loop over steps is ours, so that the
sides can take turns.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager

import torch

from .problem import Problem

LEARNING_RATE = 1e-6


def reward(completions, **columns) -> list[float]:
    """Cheap, and different for different completions."""
    return [float(sum(map(ord, completion[0]["content"])) % 97) / 97 for completion in completions]


class TrlUpdate:
    """The trainer, ready for `step()`."""

    def __init__(self, problem: Problem, *, compact: bool):
        self.problem, self.compact = problem, compact
        self.trainer = trainer(problem, self.examples())
        self.seconds: dict[str, float] = {}
        self.seen: dict[str, object] = {}
        self.trainer.train()  # one step: the optimiser, the accelerator's wrapping and TRL's counters are set up by it
        self._watch()

    def examples(self) -> list[dict]:
        prompt = [{"role": "user", "content": self.problem.text}]
        return [{"prompt": prompt, "image": picture} for picture in self.problem.pictures]

    def step(self) -> dict:
        """One update; the seconds of its phases, and what was sampled."""
        self.seconds.clear()
        examples = [example for example in self.examples() for _ in range(self.problem.group_size)]
        model, optimizer = self.trainer.model_wrapped, self.trainer.optimizer
        with head(self.compact):
            loss = self.trainer.training_step(model, examples, len(examples))
            with self._clock("backward"):
                optimizer.step()
                optimizer.zero_grad()
        return {"phases": dict(self.seconds), "loss": loss, **self.seen}

    @torch.no_grad()
    def logp(self, inputs: dict) -> torch.Tensor:
        """[B, T] log-probabilities of the completions that `step` saw, by the trainer's own function."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
        names = ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")
        fields = {name: inputs[name] for name in names if name in inputs}
        with head(self.compact):
            length = inputs["completion_ids"].shape[1]
            found, *_ = self.trainer._get_per_token_logps_and_entropies(self.trainer.model, ids, mask, length, **fields)
        return found

    def _watch(self) -> None:
        """Times the trainer's methods, and keeps what the loss was given."""
        self.trainer._generate_single_turn = self._timed("generation", self.trainer._generate_single_turn)
        self.trainer.accelerator.backward = self._timed("backward", self.trainer.accelerator.backward)
        computed = self._timed("forward", self.trainer.compute_loss)

        def compute_loss(model, inputs, *arguments, **options):
            self.seen["inputs"] = inputs
            return computed(model, inputs, *arguments, **options)

        self.trainer.compute_loss = compute_loss

    def _timed(self, phase: str, call):
        def run(*arguments, **options):
            with self._clock(phase):
                return call(*arguments, **options)

        return run

    @contextmanager
    def _clock(self, phase: str):
        start = time.perf_counter()
        yield
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start


@contextmanager
def head(compact: bool):
    """TRL's choice of positions for its head, for the time of a call."""
    import trl.trainer.utils as utils

    before = utils._use_triton
    utils._use_triton = (lambda device: True) if compact else before
    try:
        yield
    finally:
        utils._use_triton = before


def trainer(problem: Problem, examples: list[dict]):
    import transformers
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    arguments = GRPOConfig(
        output_dir=tempfile.mkdtemp(prefix="vlmprobe-bench-"),
        use_cpu=True,
        bf16=False,
        per_device_train_batch_size=problem.rows,
        num_generations=problem.group_size,
        max_completion_length=problem.completion,
        generation_kwargs={"min_new_tokens": problem.completion, "suppress_tokens": problem.special_ids},
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        beta=0.0,
        loss_type="grpo",
        num_iterations=1,
        steps_per_generation=1,
        gradient_accumulation_steps=1,
        gradient_checkpointing=False,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        max_grad_norm=0.0,
        max_steps=1,
        shuffle_dataset=False,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        seed=3,
    )
    return GRPOTrainer(
        model=problem.model(),
        reward_funcs=reward,
        args=arguments,
        train_dataset=Dataset.from_list(examples),
        processing_class=problem.processor,
    )
