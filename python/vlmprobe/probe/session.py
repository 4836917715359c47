"""Running a probe: it asks until its budget is spent, writes everything down, and goes on where it was stopped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vlmprobe import grpo, reward
from vlmprobe._util.visible import say
from vlmprobe.data import prefetched
from vlmprobe.data.order import shuffled
from vlmprobe.data.source import ImageSource, keys_of
from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.loop.record import recorded_round
from vlmprobe.loop.round import Round
from vlmprobe.loop.schedule import Schedule
from vlmprobe.loop.tally import Tally
from vlmprobe.models.embedder import EMBEDDERS, installed_embedder
from vlmprobe.models.judges import check_other_model
from vlmprobe.models.protocols import Embedder
from vlmprobe.models.service import StepNotMade, located
from vlmprobe.probe.build import RUN, Models, cost_of, followed, images_of, models_of
from vlmprobe.probe.config import Probe
from vlmprobe.probe.guards import Watch
from vlmprobe.probe.own_answers import KIND as OWN_ANSWER
from vlmprobe.probe.own_answers import OwnAnswers, own_answers_of, text_of
from vlmprobe.probe.progress import Progress
from vlmprobe.probe.roles import CONNECTION, WORLD
from vlmprobe.probe.signs import signs_of
from vlmprobe.run.directory import RunDirectory, versions
from vlmprobe.run.journal import Annotator
from vlmprobe.run.pictures import of_run, recalled
from vlmprobe.run.probe import probe as ask
from vlmprobe.run.stopping import Stopping
from vlmprobe.run.trainer import Trainer, TrainerOptions

UNBOUNDED = 10**9
FREE = ("budget", "guards", "labeller")
"""What may change from call to call: no question depends on it."""


def run(probe: Probe, folder: str | Path, *, quiet: bool = False, from_step: int | None = None) -> Tally:
    """Asks until the budget is spent, or a guard that is to stop it does.

    Args:
        probe: what is asked for.
        folder: of `probe.yaml`; the ledger comes beside it.
        quiet: print no progress.
        from_step: where method is rl, go on from the checkpoint of this step and not from the newest.

    Returns:
        The tally of all steps, those of earlier calls among them.

    Raises:
        ValueError: pictures or models that are not there, or other ones than the run began with.
        BudgetSpent, Unserved: a role's own budget did not last, no call of one came through, or none of its replies was
            of use for some steps; the steps before are in the ledger.
        KeyboardInterrupt: SIGINT or SIGTERM; at the end of the step, or at the second of them at once.
    """
    if from_step is not None and not probe.learns:
        raise ValueError(f"[probe] from_step: expected none where nothing is trained, got {from_step}")
    ended: KeyboardInterrupt | StepNotMade | None = None
    steps = 0
    with RunDirectory(folder, quiet=True, resume=True) as directory:  # the progress is said here
        models = models_of(probe, folder, directory.ledger)
        check_other_model(models.answerer, models.verifier, allow_same_model=probe.allow_same_model)
        images = recalled(images_of(probe, folder), directory.ledger, RUN)
        directory.ledger.begin(_head(probe, models, images), replace=True)
        known = 1 + max((step for _, step in directory.ledger.recorded_steps(RUN)), default=-1)
        with Progress(probe.budget, cost=_cost_so_far(probe, directory.ledger), quiet=quiet) as progress:
            asking = _Asking(probe, models, images, directory, progress, known)
            try:
                found = _train(asking, from_step) if probe.learns else _ask(asking)
            except (KeyboardInterrupt, StepNotMade) as error:
                ended = error
        steps = len(directory.ledger.recorded_steps(RUN))
        if ended is None and asking.watch.stop is None:
            directory.ledger.finish(RUN)
    if ended is not None:
        say(f"stopped after step {steps}: the same command goes on from there", to=sys.stderr)
        raise ended
    if asking.watch.exhausted:
        say(asking.watch.exhausted, to=sys.stderr)
    if asking.watch.stop is not None:
        said = "stopped by a guard; to go on, take it out of guards.stop or change its limit"
        say(f"{asking.watch.stop}\n{said}", to=sys.stderr)
    return found


class _Asking:
    """What zero-shot asking and training share."""

    def __init__(
        self, probe: Probe, models: Models, images: ImageSource, directory: RunDirectory, progress: Progress, known: int
    ):
        self.probe, self.models, self.images, self.directory, self.progress = probe, models, images, directory, progress
        self.watch = Watch(probe.guards, directory.ledger, RUN, known=known, say=progress.say)
        self.stopping = Stopping()
        self._known, self._began = known, time.monotonic()
        self._own = OwnAnswers(models.verifier, most=probe.guards.own_answers)
        self._told = own_answers_of(directory.ledger, RUN)
        roles: dict[str, Any] = {"questioner": models.asker, "answerer": models.answerer, "verifier": models.verifier}
        self._names = {name: f"{role.identity.split(' [')[0]}{located(role)}" for name, role in roles.items()}

    def see(self, round: Round, numbers: Mapping[str, float | None] | None = None, *, live: bool = True) -> None:
        """Takes a step; one that is not live is known by its record alone.

        Raises:
            Unserved: a role has not been of use for some steps.
        """
        self._own_answers(round, live=live)
        signs = replace(signs_of(round, numbers), kinds=self._own.kinds())
        self.progress.see(round, signs)
        self.watch.see(signs)
        self.watch.check_useful(self._names)

    def _own_answers(self, round: Round, *, live: bool) -> None:
        """Those of a step: from the ledger where a later step is there, else the verifier is asked, because a process
        may have been killed in the middle of that. Its calls are recorded, so none is paid for twice."""
        step = round.place.step
        told = [each for each in self._told if each.step == step]
        if not live or step < self._known - 1:
            self._own.recall(told)
            return
        for own in self._own.see(round):
            if own not in told:
                self.directory.ledger.event(RUN, kind=OWN_ANSWER, text=text_of(own))

    def enough(self, calls: int, steps: int) -> bool:
        """Whether it ends before the next step. Of a run that goes on, the steps that are recorded are gone through
        first: what they took is spent whether or not it would be spent again."""
        if self.stopping.asked or self.watch.stop is not None or self.watch.exhausted:
            return True
        budget = self.probe.budget.model_dump()
        used = {"calls": float(calls), "steps": float(steps), **(self._spent() if steps >= self._known else {})}
        return any(budget[name] is not None and used[name] >= budget[name] for name in used)

    def comes(self, step: int) -> bool:
        """Whether a step is likely to come, by what the steps before took."""
        seen = self.progress
        each = seen.calls / seen.steps if seen.steps else 0.0
        return not self.enough(round(seen.calls + each), step)

    def _spent(self) -> dict[str, float]:
        tokens, cost = 0, 0.0
        for name in ("questioner", "answerer", "verifier"):
            used = self.directory.ledger.spent(RUN, name)
            tokens += used.prompt_tokens + used.completion_tokens
            cost += cost_of(getattr(self.probe, name), used)
        return {"tokens": float(tokens), "cost": cost, "hours": (time.monotonic() - self._began) / 3600}


def _cost_so_far(probe: Probe, ledger: Ledger) -> Callable[[], float] | None:
    """What the calls took so far, in the unit of the prices; None where there are no prices."""
    roles = {name: getattr(probe, name) for name in ("questioner", "answerer", "verifier")}
    if not any(role.prices.prompt or role.prices.completion for role in roles.values()):
        return None
    return lambda: sum(cost_of(role, ledger.spent(RUN, name)) for name, role in roles.items())


def _ask(asking: _Asking) -> Tally:
    """A questioner that does not learn."""
    probe, models, ledger = asking.probe, asking.models, asking.directory.ledger
    with asking.stopping.heard():
        return ask(
            models.asker, models.answerer, models.verifier,
            prefetched(shuffled(of_run(asking.images, ledger, RUN), probe.images_per_step, seed=probe.seed)),
            calls=probe.budget.calls or UNBOUNDED, k=probe.k, group_size=probe.group_size, seed=probe.seed,
            run=RUN, phase=RUN, ledger=ledger, resumed=True, on_round=asking.see,
            enough=lambda found: asking.enough(found.spent, asking.progress.steps),
            overlap=_anywhere(models, "questioner", "answerer", "verifier"), worth=asking.comes,
            annotate=annotator_of(probe, models),
        )  # fmt: skip


def _train(asking: _Asking, from_step: int | None = None) -> Tally:
    """A questioner that learns."""
    probe, directory, ledger = asking.probe, asking.directory, asking.directory.ledger
    trainer, rounds = _trainer(asking), list[Round]()
    directory.load(trainer, step=from_step)
    if directory.resumed:
        ledger.event(RUN, kind="resumed", text=f"at step {trainer.next_step}")
    trainer.journal.on_round = rounds.append
    saved = trainer.next_step
    try:
        with asking.stopping.heard():
            for phase, step in ledger.recorded_steps(RUN):
                if step < trainer.next_step and (record := ledger.step(RUN, phase, step)) is not None:
                    asking.see(recorded_round(record), record.numbers, live=False)
            while not asking.enough(trainer.tally.spent, trainer.next_step):
                left = None if probe.budget.calls is None else probe.budget.calls - trainer.tally.spent
                report = trainer.step(max_calls=left)
                directory.on_step(report)
                asking.see(rounds.pop(), {name: getattr(report, name) for name in ("kl", "entropy", "degenerate")})
                if trainer.next_step % probe.training.checkpoint_every == 0:
                    directory.save(trainer)
                    saved = trainer.next_step
            if saved != trainer.next_step:
                directory.save(trainer)
    except StepNotMade:
        directory.save(trainer)
        raise
    return trainer.tally


def _trainer(asking: _Asking) -> Trainer:
    probe, models, training = asking.probe, asking.models, asking.probe.training
    options = TrainerOptions(
        k=probe.k, group_size=probe.group_size, images_per_step=probe.images_per_step, seed=probe.seed,
        learning_rate=training.learning_rate, credit=training.credit, within=probe.within, advantages=probe.advantages,
        loss=replace(grpo.PAPER, beta=training.beta),
        schedule=schedule_of(probe), epochs=training.epochs,
        overlap=_anywhere(models, "answerer", "verifier"),
    )  # fmt: skip
    asker = followed(probe, models.asker) if probe.method == "hinted-rl" else None
    return Trainer(
        models.asker, models.answerer, models.verifier, embedder_of(probe), asking.images,  # type: ignore[arg-type]
        reward=reward.parse(probe.reward), options=options, ledger=asking.directory.ledger, run=RUN,
        allow_same_model=probe.allow_same_model, annotate=annotator_of(probe, models), asker=asker,
        report_to=list(probe.training.report_to),
    )  # fmt: skip


def annotator_of(probe: Probe, models: Models) -> Annotator | None:
    """What is known besides of questions about pictures of the world."""
    if probe.images.source != WORLD:
        return None
    from vlmprobe.world.truth import annotator

    return annotator(models.answerer)


def schedule_of(probe: Probe) -> Schedule:
    """How the learning rate of a probe changes."""
    training = probe.training
    total = probe.total_steps if training.schedule == "cosine" else None
    return Schedule(shape=training.schedule, warmup=training.warmup_steps, total=total)


def _anywhere(models: Models, *roles: str) -> bool:
    """Whether these roles may be called from several threads: models behind endpoints may."""
    return all(role in models.clients for role in roles)


def scored(found: Tally) -> bool:
    """Whether an answer to a valid question was judged."""
    _, fdr = found.rates()
    return fdr.n > 0


def embedder_of(probe: Probe) -> Embedder:
    """The probe's; where it names none, MiniLM where it is installed, else hashed n-grams."""
    return EMBEDDERS[probe.embedder or installed_embedder()]()


def _head(probe: Probe, models: Models, images: ImageSource) -> RunRecord:
    config = {name: value for name, value in probe.model_dump().items() if name not in FREE} | {"method": probe.way}
    config["training"] |= {"reward": probe.reward, "within": probe.within}
    del config["training"]["report_to"]  # no step depends on it
    for name in ("questioner", "answerer", "verifier"):
        config[name] = {key: value for key, value in config[name].items() if key not in CONNECTION}
    if probe.training.schedule == "cosine":  # another budget would be another schedule
        config["total_steps"] = probe.total_steps
    identities = {
        "questioner": models.asker.identity,
        "answerer": models.answerer.identity,
        "verifier": models.verifier.identity,
    }
    if probe.learns:
        identities["embedder"] = embedder_of(probe).identity
    known = versions()
    # Pictures with keys are recorded by these, and some may be taken away later (`vlmprobe.run.pictures`).
    pictures = {} if keys_of(images) is not None else {"pictures": len(images)}
    return RunRecord(id=RUN, config={**config, **pictures}, versions=known, identities=identities)
