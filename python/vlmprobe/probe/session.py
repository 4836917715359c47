"""Running a probe: it asks until its budget is spent, writes everything down, and goes on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlmprobe import grpo, reward
from vlmprobe.data.order import shuffled
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.tally import Tally
from vlmprobe.models.embedder import EMBEDDERS, installed_embedder
from vlmprobe.models.judges import check_other_model
from vlmprobe.models.service import StepNotMade
from vlmprobe.probe.build import RUN, Models, images_of, models_of
from vlmprobe.probe.config import Probe
from vlmprobe.probe.progress import Progress
from vlmprobe.run.directory import RunDirectory, versions
from vlmprobe.run.pictures import of_run
from vlmprobe.run.probe import probe as ask
from vlmprobe.run.trainer import Trainer, TrainerOptions

UNBOUNDED = 10**9
FREE = ("budget",)
"""What may change from call to call: no question depends on it."""
CONNECTION = ("endpoint", "key_env", "key_file", "client", "prices", "device")
"""The same of a role: a server may move."""


def run(probe: Probe, folder: str | Path, *, quiet: bool = False) -> Tally:
    """Asks until the budget is spent.

    Args:
        probe: what is asked for.
        folder: of `probe.yaml`; the ledger comes beside it.
        quiet: print no progress.

    Returns:
        The tally of all steps, those of earlier calls among them.

    Raises:
        ValueError: pictures or models that are not there, or other ones than the run began with.
        BudgetSpent, Unserved: a role's own budget did not last, or no call of one came through; the steps before are in
            the ledger.
    """
    with RunDirectory(folder, quiet=True, resume=True) as directory:  # the progress is said here
        ledger = directory.ledger
        models = models_of(probe, folder, ledger)
        check_other_model(models.answerer, models.verifier, allow_same_model=probe.allow_same_model)
        images = images_of(probe, folder)
        ledger.begin(_head(probe, models, len(images)), replace=True)
        enough = _enough(probe, ledger, time.monotonic())
        with Progress(probe.budget, quiet=quiet) as progress:
            if probe.method == "rl":
                found = _train(probe, models, images, directory, progress, enough)
            else:
                found = ask(
                    models.asker, models.answerer, models.verifier,
                    shuffled(of_run(images, ledger, RUN), probe.images_per_step, seed=probe.seed),
                    calls=probe.budget.calls or UNBOUNDED, k=probe.k, group_size=probe.group_size, seed=probe.seed,
                    run=RUN, phase=RUN, ledger=ledger, resumed=True, on_round=progress.see,
                    enough=lambda found: enough(found, progress.steps),
                )  # fmt: skip
        ledger.finish(RUN)
    return found


def scored(found: Tally) -> bool:
    """Whether an answer to a valid question was judged."""
    _, fdr = found.rates()
    return fdr.n > 0


def embedder() -> Any:
    """MiniLM where it is installed, else hashed n-grams."""
    return EMBEDDERS[installed_embedder()]()


def _head(probe: Probe, models: Models, pictures: int) -> RunRecord:
    config = {name: value for name, value in probe.model_dump().items() if name not in FREE}
    for name in ("questioner", "answerer", "verifier"):
        config[name] = {key: value for key, value in config[name].items() if key not in CONNECTION}
    identities = {
        "questioner": models.asker.identity,
        "answerer": models.answerer.identity,
        "verifier": models.verifier.identity,
    }
    known = versions()
    return RunRecord(id=RUN, config={**config, "pictures": pictures}, versions=known, identities=identities)


def _enough(probe: Probe, ledger: Ledger, began: float) -> Callable[[Tally, int], bool]:
    """Whether some budget is spent, by what was found and the number of steps so far."""
    budget = probe.budget

    def spent(found: Tally, steps: int) -> bool:
        tokens, cost = 0, 0.0
        for name in ("questioner", "answerer", "verifier"):
            used, prices = ledger.spent(RUN, name), getattr(probe, name).prices
            tokens += used.prompt_tokens + used.completion_tokens
            cost += (used.prompt_tokens * prices.prompt + used.completion_tokens * prices.completion) / 1e6
        hours = (time.monotonic() - began) / 3600
        used_of = {"calls": found.spent, "steps": steps, "tokens": tokens, "cost": cost, "hours": hours}
        return any(most is not None and used_of[name] >= most for name, most in budget.model_dump().items())

    return spent


def _train(
    probe: Probe,
    models: Models,
    images: Any,
    directory: RunDirectory,
    progress: Progress,
    enough: Callable[[Tally, int], bool],
) -> Tally:
    training = probe.training
    options = TrainerOptions(
        k=probe.k, group_size=probe.group_size, images_per_step=probe.images_per_step, seed=probe.seed,
        learning_rate=training.learning_rate, credit=training.credit, loss=replace(grpo.PAPER, beta=training.beta),
    )  # fmt: skip
    trainer = Trainer(
        models.asker, models.answerer, models.verifier, embedder(), images,  # type: ignore[arg-type]
        reward=reward.parse(training.reward), options=options, ledger=directory.ledger, run=RUN,
        allow_same_model=probe.allow_same_model,
    )  # fmt: skip
    directory.load(trainer)
    trainer.journal.on_round = progress.see
    saved = trainer.next_step
    try:
        while True:
            left = None if probe.budget.calls is None else probe.budget.calls - trainer.tally.spent
            if left is not None and left < 1:
                break
            report = trainer.step(max_calls=left)
            directory.on_step(report)
            if trainer.next_step % training.checkpoint_every == 0:
                directory.save(trainer)
                saved = trainer.next_step
            if enough(trainer.tally, trainer.next_step):
                break
    except StepNotMade:
        directory.save(trainer)
        raise
    if saved != trainer.next_step:
        directory.save(trainer)
    return trainer.tally
