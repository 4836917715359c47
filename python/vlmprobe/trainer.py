"""GRPO training of a questioner: one step is the data flow of the paper, line by line.

Departures from the paper, each with its reason in docs/paper_index.md: the ratio of equation 1 is pi/pi_old; the
standard deviation gets 1e-4; novelty is clamped to [0, 1]; a verdict that is missing leaves the question unscored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch

from vlmprobe import checkpoint, grpo, reward
from vlmprobe._checks import check_count, check_positive
from vlmprobe.asked import affordable, refusing
from vlmprobe.canaries import Canaried, CanaryWatch
from vlmprobe.data.order import StepImages, in_order, shuffled
from vlmprobe.data.source import ImageSource
from vlmprobe.evaluation import Tally, probe, summarise
from vlmprobe.examine import Examined, examine
from vlmprobe.ledger import Ledger, RunRecord, StepRecord, made_or_not, recorded
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.judges import check_other_model
from vlmprobe.models.protocols import Answerer, Embedder, Picture, Verifier
from vlmprobe.models.service import Service
from vlmprobe.overlap import Overlap
from vlmprobe.pictures import images_of_step, keys_to_keep, of_checkpoint, of_run, recalled
from vlmprobe.questioner import Questioner
from vlmprobe.replay import annotator_of, examined_again, recall
from vlmprobe.reward import paper as equation_5
from vlmprobe.step_report import StepReport, numbers_of, step_report
from vlmprobe.steps import (
    Annotator,
    assess,
    assign_credit,
    judges_of,
    pictures_of,
    remember,
    reward_batch,
    step_record,
    update,
)
from vlmprobe.text import Questions, parse_responses

CREDITS = ("sequence", "question")
EVALUATION_SEED = 0x5EED  # added to the run's: an evaluation shares no draw with training


@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    """What one step is made of. The defaults are the paper's where it says them, the field's where it does not."""

    k: int = 2
    """Questions per sequence."""
    group_size: int = 8
    """Sequences per image, G."""
    images_per_step: int = 8
    """Images per step."""
    learning_rate: float = 1e-6
    """Of AdamW; constant."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    credit: str = "sequence"
    """`sequence`: one advantage per sequence; `question`: each question's own on its tokens."""
    within: str = "none"
    """Whether earlier questions of the same `sequence` or `step` count against novelty; `none`: the memory alone."""
    overlap: bool = False
    """Judge and answer a group as soon as it is drawn, while others still are: for models on servers. Results are the
    same as long as a model's reply to a question does not depend on the other questions of its batch."""
    loss: grpo.LossOptions = field(default_factory=lambda: grpo.PAPER)
    """Clip, KL weight, reduction."""
    seed: int = 0
    """Of sampling and image order."""

    def __post_init__(self) -> None:
        for name in ("k", "group_size", "images_per_step"):
            check_count("TrainerOptions", name, getattr(self, name))
        for name in ("learning_rate", "max_grad_norm"):
            check_positive("TrainerOptions", name, getattr(self, name))
        if not (isinstance(self.seed, int) and 0 <= self.seed < 2**63):
            raise ValueError(f"[TrainerOptions] seed: expected 0 to 2**63 - 1, got {self.seed!r:.60}")
        if not isinstance(self.loss, grpo.LossOptions):
            raise ValueError(f"[TrainerOptions] loss: expected LossOptions, got {type(self.loss).__name__}")
        for name, allowed in (("credit", CREDITS), ("within", ("none", "sequence", "step"))):
            if getattr(self, name) not in allowed:
                expected = " or ".join(allowed)
                raise ValueError(f"[TrainerOptions] {name}: expected {expected}, got {getattr(self, name)!r}")


class Trainer:
    """Trains a questioner to find what an answerer gets wrong.

    Args:
        questioner: the policy.
        answerer: the model under test, frozen.
        verifier: the judge, frozen.
        embedder: texts to unit vectors.
        images: where the pictures come from; revisited in a new order each epoch. Those that cannot be read are left
            out of their steps, and said: see `vlmprobe.pictures`.
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

    Example:
        >>> trainer = Trainer(questioner, answerer, verifier, embedder, images)  # doctest: +SKIP
        >>> trainer.train(100)  # doctest: +SKIP
    """

    def __init__(
        self,
        questioner: Questioner,
        answerer: Answerer,
        verifier: Verifier,
        embedder: Embedder,
        images: ImageSource,
        *,
        reward: reward.Expression | None = None,
        memory: QuestionMemory | None = None,
        options: TrainerOptions = TrainerOptions(),
        optimizer: torch.optim.Optimizer | None = None,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
        ledger: Ledger | None = None,
        run: str = "run",
        annotate: Annotator | None = None,
        allow_same_model: bool = False,
    ):
        self.questioner, self.embedder = questioner, embedder
        self.answerer = recorded(answerer, ledger, role="answerer")
        self.verifier = recorded(verifier, ledger, role="verifier")
        self.images, self.options, self.ledger, self.run, self.annotate = images, options, ledger, run, annotate
        self.reward = reward if reward is not None else equation_5()
        self.memory = memory if memory is not None else QuestionMemory(embedder.dim)
        self._check()
        check_other_model(answerer, verifier, allow_same_model=allow_same_model)
        self.optimizer, self.scheduler = optimizer or adamw(questioner, options), scheduler
        self.watch = CanaryWatch(ledger, run)
        self.tally = Tally()
        self.service = Service()
        self.next_step = 0
        self.resumed = False
        """Whether steps that the ledger has already are gone through again; see `load`."""

    def _check(self) -> None:
        """What would only show in the middle of a step, after calls were paid for."""
        if not isinstance(self.options, TrainerOptions):
            raise ValueError(f"[Trainer] options: expected TrainerOptions, got {type(self.options).__name__}")
        if not callable(self.reward):
            hint = "expected an expression such as reward.paper() or reward.parse(text)"
            raise ValueError(f"[Trainer] reward: {hint}, got {self.reward!r:.60}")
        if len(self.images) == 0:
            raise ValueError("[Trainer] images: expected at least one, got none")
        if self.memory.dim != self.embedder.dim:
            raise ValueError(f"[Trainer] memory: expected width {self.embedder.dim} as embedded, got {self.memory.dim}")

    def __repr__(self) -> str:
        return f"Trainer(step {self.next_step}, {len(self.images)} images, {self.tally!r}, {self.memory!r})"

    def step(self, *, max_calls: int | None = None) -> StepReport:
        """One step: ask, judge, answer, reward, learn, remember, write down.

        Of a step that the ledger of a resumed run has already, verdicts and answers are taken from there.

        Args:
            max_calls: answerer calls that it may make; valid questions beyond them are unscored. It must do for asking
                (see `vlmprobe.asked.affordable`).

        Raises:
            BudgetSpent: a model's budget did not last; the trainer stands before the step, and `save` is as good as
                before it.
            Unserved: no call of a model came through; likewise. Once that is put right, the step is asked in full.
            ValueError: no picture can be read, or one that the recorded step was about.
        """
        options, step = self.options, self.next_step
        if isinstance(self.verifier, Canaried):
            self.verifier.take_canaries()  # those of no step, such as one that was not made
        known = self.recorded(step)
        images, left_out = self._shown(step, known)
        images = self._affordable(images, max_calls)
        with made_or_not(self.ledger), self._overlapping(images, known, max_calls) as overlap:
            rollouts = self.questioner.ask(
                images, k=options.k, group_size=options.group_size, seed=options.seed, step=step, on_group=overlap
            )
            questions = parse_responses(rollouts.texts, k=options.k, token_ends=rollouts.token_ends)
            pictures = pictures_of(images, rollouts, questions)
            if known is not None:
                examined = examined_again(known, questions)
                recall(self.service, known)
            else:
                left = None if max_calls is None else max_calls - rollouts.calls
                examined = overlap.examined() if overlap else self._examine(pictures, questions, left)

        novelties = assess(self.memory, self.embedder, pictures, questions, examined, within=options.within)
        rewards = self.reward(reward_batch(rollouts, questions, pictures, examined, novelties))
        advantages = assign_credit(rewards, rollouts, questions, credit=options.credit)
        loss = self.questioner.loss(rollouts, advantages, options=options.loss)
        grad_norm = update(self.optimizer, loss.loss, max_grad_norm=options.max_grad_norm)
        if self.scheduler is not None:
            self.scheduler.step()

        remember(self.memory, self.run, step, pictures, questions, examined, novelties)
        record = step_record(
            self.run, "train", step, images, rollouts, questions, pictures, examined,
            answerer=self.answerer.identity, judge=self.verifier.identity,
            rewards=rewards, advantages=advantages,
            annotate=self.annotate if known is None else annotator_of(known),
            judges=judges_of(self.answerer, self.verifier),
            numbers=numbers_of(loss, grad_norm), left_out=left_out,
        )  # fmt: skip
        self.write(record)
        self.next_step += 1
        report = step_report(step, rollouts, examined, rewards, numbers_of(loss, grad_norm), left_out=left_out)
        if isinstance(self.verifier, Canaried):
            self.watch.see(step, report.reward, self.verifier.take_canaries())
        return report

    def _overlapping(
        self, images: Sequence[Picture], known: StepRecord | None, max_calls: int | None
    ) -> AbstractContextManager[Overlap | None]:
        short = max_calls is not None and max_calls < self._calls_at_most(len(images))
        if not self.options.overlap or known is not None or short:
            return nullcontext()
        return Overlap(images, k=self.options.k, answerer=self.answerer, verifier=self.verifier, service=self.service)

    def _calls_at_most(self, images: int) -> int:
        """Answerer calls of a step with so many images."""
        k, group_size = self.options.k, self.options.group_size
        return images * (k * group_size + self.questioner.calls_at_most(k=k, group_size=group_size))

    def _shown(self, step: int, known: StepRecord | None) -> tuple[Sequence[Picture], int]:
        """The pictures of a step, and how many were left out."""
        self.images = of_run(self.images, self.ledger, self.run)
        return images_of_step(
            self.images_of, step, run=self.run, phase="train", ledger=self.ledger, known=known,
            refuses=refusing(self.questioner),
        )  # fmt: skip

    def _affordable(self, images: Sequence[Picture], max_calls: int | None) -> Sequence[Picture]:
        options = self.options
        if max_calls is None:
            return images
        some = affordable(self.questioner, images, max_calls, k=options.k, group_size=options.group_size)
        if not some:
            raise ValueError(f"[Trainer.step] max_calls: expected enough to ask about an image, got {max_calls}")
        return some

    def _examine(self, pictures: Sequence[Picture], questions: Questions, max_calls: int | None) -> Examined:
        return examine(
            pictures, questions, answerer=self.answerer, verifier=self.verifier, max_calls=max_calls,
            service=self.service,
        )  # fmt: skip

    def train(self, steps: int, *, on_step: Callable[[StepReport], None] | None = None) -> list[StepReport]:
        """`steps` more steps; `on_step` sees each report as it comes."""
        if steps < 0:
            raise ValueError(f"[train] steps: expected at least 0, got {steps}")
        reports = []
        for _ in range(steps):
            reports.append(self.step())
            if on_step is not None:
                on_step(reports[-1])
        return reports

    def spend(self, calls: int, *, on_step: Callable[[StepReport], None] | None = None) -> list[StepReport]:
        """Steps until exactly so many answerer calls have been made in all, those of earlier steps among them.

        A rest that does not do for asking about one more image stays; and a questioner of which 20 slots a call are not
        valid is given up.

        Args:
            calls: at least 1. After `load` the calls so far are known from the ledger.
            on_step: sees each report as it comes.
        """
        check_count("Trainer.spend", "calls", calls)
        reports = []
        options = self.options
        while (left := calls - self.tally.spent) > 0 and len(self.tally.rows) < 20 * calls:
            if left <= self.questioner.calls_at_most(k=options.k, group_size=options.group_size):
                break
            reports.append(self.step(max_calls=left))
            if on_step is not None:
                on_step(reports[-1])
        return reports

    def evaluate(self, images: ImageSource, n: int, *, phase: str | None = None) -> Tally:
        """Has the questioner as it stands ask about `images`, in their order, until n questions were answered.

        Equal images, n and seed give paired evaluations; `summary` turns the tally into numbers. In the ledger the
        evaluation is a run of its own, `<run>/<phase>`, because its images are; the phase is `evaluation-<step>` unless
        given.
        """
        phase = phase if phase is not None else f"evaluation-{self.next_step}"
        run = f"{self.run}/{phase}"
        if self.ledger is not None:
            self.ledger.begin(RunRecord(id=run, config={"of": self.run, "step": self.next_step, "n": n}))
        images = of_run(images, self.ledger, run)
        tally = probe(
            self.questioner, self.answerer, self.verifier, in_order(images, 32), calls=n, k=self.options.k,
            seed=self.options.seed + EVALUATION_SEED, run=run, phase=phase,
            ledger=self.ledger, annotate=self.annotate, resumed=self.resumed,
        )  # fmt: skip
        if self.ledger is not None:
            self.ledger.finish(run)
        return tally

    def summary(self, tally: Tally) -> dict:
        """The paper's numbers over a tally; see `vlmprobe.evaluation.summarise`."""
        return summarise(tally, self.embedder)

    def images_of(self, step: int) -> StepImages:
        """The images of a step that can be read: the source in a new order each epoch, cut into steps."""
        return shuffled(self.images, self.options.images_per_step, seed=self.options.seed)(step)

    def recorded(self, step: int) -> StepRecord | None:
        """What the ledger has of a step that is yet to be made: something where a resumed run went further than its
        checkpoint.

        Raises:
            RuntimeError: it has something, and this run is not a resumed one.
        """
        if self.ledger is None:
            return None
        self.ledger.at(self.run, "train", step)
        known = self.ledger.step(self.run, "train", step)
        if known is not None and not self.resumed:
            raise RuntimeError(
                f"[Trainer] step {step} of run {self.run!r} is in the ledger already: resume it with Trainer.load, "
                "or name another run"
            )
        return known

    def write(self, record: StepRecord) -> None:
        """Counts the step, and writes it to the ledger if there is one."""
        self.tally.add(record)
        if self.ledger is not None:
            self.ledger.record(record)

    def save(self, directory: str | Path) -> Path:
        """Writes a checkpoint of the steps so far, `step-<n>`, into the directory, and keeps the one before it.

        What is in it: `vlmprobe.checkpoint`.

        Raises:
            OSError: it could not be written; earlier checkpoints are as they were.
        """
        scheduler = {} if self.scheduler is None else {"scheduler": checkpoint.packed(self.scheduler.state_dict())}
        return checkpoint.save(
            directory,
            questioner=self.questioner,
            optimizer=self.optimizer,
            memory=self.memory,
            state={"step": self.next_step, **self._place(), **keys_to_keep(self.images), **scheduler},
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
        for name, value in {**self._place(), "images": len(images)}.items():
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

    def _place(self) -> dict[str, int]:
        """With the step, the place in the images and in the random numbers."""
        options = self.options
        return {"seed": options.seed, "images": len(self.images), "images_per_step": options.images_per_step}

    def _earlier(self, folder: Path, step: int) -> Tally:
        """The questions of the steps before, from the ledger; without a ledger they are not known."""
        tally = Tally()
        for number in range(step if self.ledger is not None else 0):
            known = self.recorded(number)
            if known is None:
                raise ValueError(
                    f"[Trainer.load] {folder}: has seen step {number} of run {self.run!r}, which the ledger has not; "
                    "give it the ledger that it was saved beside, or an earlier checkpoint"
                )
            tally.add(known)
            recall(self.service, known)
        return tally


def adamw(questioner: Questioner, options: TrainerOptions) -> torch.optim.AdamW:
    """The default optimiser."""
    return torch.optim.AdamW(questioner.parameters(), lr=options.learning_rate, weight_decay=0.0)
