"""The trainer of a run: the loop, with a ledger, checkpoints, evaluations and canaries."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from vlmprobe.data.order import StepImages, in_order
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import Ledger, RunRecord, recorded
from vlmprobe.loop.ask import show_learner
from vlmprobe.loop.evaluate import Evaluation
from vlmprobe.loop.record import recorded_round
from vlmprobe.loop.report import StepReport
from vlmprobe.loop.score import Reward
from vlmprobe.loop.tally import Tally
from vlmprobe.loop.trainer import DEFAULT_OPTIONS, TrainerOptions
from vlmprobe.loop.trainer import Trainer as Loop
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.judges import check_other_model
from vlmprobe.models.protocols import Answerer, Embedder, Verifier
from vlmprobe.policy.asker import Asker
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run import checkpoint
from vlmprobe.run.canaries import CanaryWatch
from vlmprobe.run.journal import Annotator, RunJournal
from vlmprobe.run.overlap import Overlap
from vlmprobe.run.pictures import keys_to_keep, of_checkpoint, of_run, recalled
from vlmprobe.run.probe import probe
from vlmprobe.run.trackers import Tracker, numbers_of, trackers_of
from vlmprobe.run.watching import OnStep, watched, watched_rounds

EVALUATION_SEED = 0x5EED  # added to the run's: an evaluation shares no draw with training


class Trainer(Loop):
    """Trains a questioner to find what an answerer gets wrong.

    Args:
        questioner: the policy.
        answerer: the model under test, frozen.
        verifier: the judge, frozen.
        embedder: texts to unit vectors.
        images: where the pictures come from; revisited in a new order each epoch. Those that cannot be read are left
            out of their steps, and said: see `vlmprobe.run.pictures`.
        reward: a reward expression; by default equation 5.
        memory: earlier failures; by default empty.
        options: see `TrainerOptions`.
        optimizer: over `questioner.parameters()`; by default AdamW.
        scheduler: stepped after each step; by default the learning rate stays.
        ledger: where everything is written down, also each call of a `ModelAnswerer` or `ModelVerifier` as it comes
            back; None writes nothing. The run must have begun.
        run: name of the run in the ledger.
        annotate: adds what is known about a question besides, such as the world's truth.
        allow_same_model: whether the verifier may be the model under test.
        asker: who asks in the questioner's place; see `vlmprobe.loop.trainer.Trainer`.
        report_to: `tensorboard`, `wandb` or `trackio`, several of them, or objects of yours (`vlmprobe.run.trackers`):
            where the numbers of each step go besides.
        progress: whether `train`, `spend` and `evaluate` draw a bar, where there is a terminal or a notebook.

    Example:
        >>> trainer = Trainer(questioner, answerer, verifier, embedder, images)  # doctest: +SKIP
        >>> trainer.train(100)  # doctest: +SKIP
    """

    journal: RunJournal

    def __init__(
        self,
        questioner: Questioner,
        answerer: Answerer,
        verifier: Verifier,
        embedder: Embedder,
        images: ImageSource,
        *,
        reward: Reward | None = None,
        memory: QuestionMemory | None = None,
        options: TrainerOptions = DEFAULT_OPTIONS,
        optimizer: torch.optim.Optimizer | None = None,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
        ledger: Ledger | None = None,
        run: str = "run",
        annotate: Annotator | None = None,
        allow_same_model: bool = False,
        asker: Asker | None = None,
        progress: bool = True,
        report_to: str | Tracker | Sequence[str | Tracker] = (),
    ):
        asked = recorded(answerer, ledger, role="answerer"), recorded(verifier, ledger, role="verifier")
        overlaps = isinstance(options, TrainerOptions) and options.overlap
        journal = RunJournal(
            run,
            ledger=ledger,
            annotate=annotate,
            overlap=partial(Overlap, answerer=asked[0], verifier=asked[1]) if overlaps else None,
            watched=asked[1],
        )
        super().__init__(
            questioner, *asked, embedder, images,
            reward=reward, memory=memory, options=options, optimizer=optimizer, scheduler=scheduler, journal=journal,
            asker=asker,
        )  # fmt: skip
        check_other_model(answerer, verifier, allow_same_model=allow_same_model)
        self.progress = progress
        folder = Path() if ledger is None else ledger.path.parent
        self.trackers = trackers_of(report_to, folder=folder, name=folder.absolute().name if ledger else run)

    @property
    def ledger(self) -> Ledger | None:
        """Where everything is written down."""
        return self.journal.ledger

    @property
    def run(self) -> str:
        """The run's name in the ledger."""
        return self.journal.run

    @property
    def watch(self) -> CanaryWatch:
        """What became of the verifier's canaries."""
        return self.journal.watch

    @property
    def resumed(self) -> bool:
        """Whether steps that the ledger has already are gone through again; see `load`."""
        return self.journal.resumed

    @resumed.setter
    def resumed(self, value: bool) -> None:
        self.journal.resumed = value

    def step(self, *, max_calls: int | None = None) -> StepReport:
        """One step, whose numbers the trackers get; see `vlmprobe.loop.trainer.Trainer.step`."""
        report = super().step(max_calls=max_calls)
        for tracker in self.trackers:
            tracker.log(numbers_of(report), report.step + 1)
        return report

    def train(self, steps: int, *, on_step: OnStep | None = None) -> list[StepReport]:
        """`steps` more steps; `on_step` sees each report as it comes.

        Raises:
            KeyboardInterrupt: Ctrl-C, after the step that it came in; the trainer stands after that step, and may be
                saved or go on. A second one ends the step at once.
        """
        end = self.next_step + steps
        with watched(end, lambda: self.next_step, on_step, show=self.progress) as seen:
            return super().train(steps, on_step=seen)

    def spend(self, calls: int, *, on_step: OnStep | None = None) -> list[StepReport]:
        """Steps until so many answerer calls have been made; see `vlmprobe.loop.trainer.Trainer.spend`. Ctrl-C is heard
        as in `train`."""
        with watched(calls, lambda: self.tally.spent, on_step, show=self.progress) as seen:
            return super().spend(calls, on_step=seen)

    def images_of(self, step: int) -> StepImages:
        """The images of a step that can be read, under the numbers that they had when the run began."""
        self.images = of_run(self.images, self.ledger, self.run)
        return super().images_of(step)

    def evaluate(self, images: ImageSource, n: int, *, phase: str | None = None) -> Evaluation:
        """Has the questioner as it stands ask about `images`, in their order, until n questions were answered.

        Equal images, n and seed give paired evaluations; `summary` turns what was found into numbers. In the ledger the
        evaluation is a run of its own, `<run>/<phase>`, because its images are; the phase is `evaluation-<step>` unless
        given.
        """
        phase = phase if phase is not None else f"evaluation-{self.next_step}"
        run = f"{self.run}/{phase}"
        if self.ledger is not None:
            self.ledger.begin(RunRecord(id=run, config={"of": self.run, "step": self.next_step, "n": n}))
        with watched_rounds(n, show=self.progress) as seen:
            found = probe(
                self.questioner, self.answerer, self.verifier, in_order(of_run(images, self.ledger, run), 32),
                calls=n, k=self.options.k, seed=self.options.seed + EVALUATION_SEED, run=run, phase=phase,
                ledger=self.ledger, annotate=self.journal.annotate, resumed=self.resumed, learns=False, on_round=seen,
            )  # fmt: skip
        if self.ledger is not None:
            self.ledger.finish(run)
        return found

    def summary(self, tally: Tally) -> dict[str, Any]:
        """The paper's numbers over a tally; see `vlmprobe.loop.tally.Tally.numbers`."""
        return tally.numbers(self.embedder)

    def save(self, directory: str | Path) -> Path:
        """Writes a checkpoint of the steps so far, `step-<n>`, into the directory, and keeps the one before it.

        What is in it: `vlmprobe.run.checkpoint`.

        Raises:
            OSError: it could not be written; earlier checkpoints are as they were.
        """
        scheduler = {} if self.scheduler is None else {"scheduler": checkpoint.packed(self.scheduler.state_dict())}
        return checkpoint.save(
            directory,
            questioner=self.questioner,
            optimizer=self.optimizer,
            memory=self.memory,
            state={"step": self.next_step, **self._place(self.images), **keys_to_keep(self.images), **scheduler},
        )

    def load(self, directory: str | Path, *, step: int | None = None, missing_ok: bool = False) -> bool:
        """Takes up a checkpoint of the same run; `step` continues after it.

        Steps that the ledger has beyond it are gone through again with the replies that the ledger has, and must come
        out the same: no call is paid for twice. Pictures keep the numbers that they had when the run began: those that
        are not there any more are left out, new ones are not used (`vlmprobe.data.Recalled`).

        Args:
            directory: where `save` put it.
            step: that of an earlier checkpoint; by default the newest is taken.
            missing_ok: without a checkpoint, begin at step 0, with the ledger's replies.

        Returns:
            Whether there was a checkpoint.

        Raises:
            ValueError: no checkpoint, one that is not whole, or one of other settings; nothing is changed.
        """
        self.resumed = True
        if missing_ok and step is None and not checkpoint.checkpoints(directory):
            self.images = recalled(self.images, self.ledger, self.run)
            return False
        folder = checkpoint.find(directory, step=step)
        state = checkpoint.verify(folder)
        images = of_checkpoint(self.images, state, where=str(folder))
        for name, value in self._place(images).items():
            if state[name] != value:
                raise ValueError(f"[Trainer.load] {folder}: {name}: expected {value}, got {state[name]}")
        if (self.scheduler is None) == ("scheduler" in state):
            has = "one" if "scheduler" in state else "none"
            raise ValueError(f"[Trainer.load] {folder}: scheduler: expected {has}, as when it was saved")
        scheduler = checkpoint.scheduler_state(folder, state, self.scheduler)
        earlier = self._earlier(folder, state["step"])
        memory = QuestionMemory.load(folder / "memory", dim=self.memory.dim, backend=self.memory.backend)
        weights = checkpoint.read_weights(folder, self.questioner)
        checkpoint.load_optimizer(folder, self.optimizer, state["optimizer"])
        checkpoint.assign(weights)
        if self.scheduler is not None:
            self.scheduler.load_state_dict(scheduler)
        self.memory, self.tally, self.next_step, self.images = memory, earlier, state["step"], images
        self.watch.resume()
        return True

    def _place(self, images: ImageSource) -> dict[str, int]:
        """With the step, the place in the images and in the random numbers."""
        options = self.options
        return {"seed": options.seed, "images": len(images), "images_per_step": options.images_per_step}

    def _earlier(self, folder: Path, step: int) -> Tally:
        """The questions of the steps before, from the ledger; without a ledger they are not known."""
        tally = Tally()
        for number in range(step if self.ledger is not None else 0):
            known = self.journal.known(number)
            if known is None:
                raise ValueError(
                    f"[Trainer.load] {folder}: has seen step {number} of run {self.run!r}, which the ledger has not; "
                    "give it the ledger that it was saved beside, or an earlier checkpoint"
                )
            round = recorded_round(known)
            tally.see(round)
            show_learner(self.asker, round)
            self.journal.recall(round)
        return tally
