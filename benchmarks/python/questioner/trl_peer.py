"""TRL's GRPOTrainer on one update: generation, loss, backward, AdamW step, through the trainer's own methods.

`compact` is what TRL does where it has Triton: its head projects the completion's positions alone. As shipped, on a
CPU, it projects the prompt's too. Everything is as the trainer does it; only the loop over steps is ours, so that the
sides can take turns.
"""

from __future__ import annotations

import contextlib
import functools
import io
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

    def __init__(self, problem: Problem):
        self.problem = problem
        self.trainer = trainer(problem, self.examples())
        with head(True), contextlib.redirect_stdout(io.StringIO()):
            self.trainer.train()  # one step: sets up the optimiser, the accelerator's wrapping and TRL's counters
        self.seconds: dict[str, float] = {}
        self.seen: dict[str, torch.Tensor] = {}
        self._watch()

    def examples(self) -> list[dict]:
        prompt = [{"role": "user", "content": self.problem.text.replace("{k}", "1")}]
        return [{"prompt": prompt, "image": picture} for picture in self.problem.pictures]

    def step(self, *, compact: bool) -> dict:
        """One update; the seconds of its phases, the mask of what was sampled, and what `logp` gives."""
        self.seconds.clear()
        examples = [example for example in self.examples() for _ in range(self.problem.group_size)]
        optimizer = self.trainer.optimizer
        with head(compact):
            loss = self.trainer.training_step(self.trainer.model_wrapped, examples, len(examples))
            with self._clock("backward"):
                optimizer.step()
                optimizer.zero_grad()
        mask = self.seen["completion_mask"]
        logp = functools.partial(self.logp, compact=compact)
        return {"phases": dict(self.seconds), "loss": loss, "mask": mask, "logp": logp}

    @torch.no_grad()
    def logp(self, tokens: torch.Tensor, *, compact: bool) -> torch.Tensor:
        """[B, T] of these completions, by the trainer's own function, under the weights of the start."""
        self.problem.as_at_first(self.trainer.model)
        batch = self.problem.batch(torch.arange(self.problem.rows), tokens)
        ids, mask = batch.pop("input_ids"), batch.pop("attention_mask")
        score = self.trainer._get_per_token_logps_and_entropies
        images = [1] * self.problem.rows
        with head(compact):
            found, *_ = score(self.trainer.model, ids, mask, tokens.shape[1], 4, num_images=images, **batch)
        return found

    def _watch(self) -> None:
        """Times the trainer's methods, and keeps what the loss was given."""
        self.trainer._generate_single_turn = self._timed("generation", self.trainer._generate_single_turn)
        self.trainer.accelerator.backward = self._timed("backward", self.trainer.accelerator.backward)
        computed = self._timed("forward", self.trainer.compute_loss)

        def compute_loss(model, inputs, *arguments, **options):
            self.seen["completion_mask"] = inputs["completion_mask"]
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
        peft_config=adapters(problem.lora) if problem.lora else None,
    )


def adapters(rank: int):
    """At the places where `vlmprobe.vlm.lora.add_lora` puts them."""
    from peft import LoraConfig

    from vlmprobe.vlm.lora import TARGETS

    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")
