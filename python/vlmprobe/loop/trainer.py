"""GRPO training of a questioner: one step is the data flow of the paper, a stage a line.

Departures from the paper, each with its reason in docs/departures.md: the ratio of equation 1 is pi/pi_old; the
standard deviation gets 1e-4; novelty is clamped to [0, 1]; a verdict that is missing leaves the question unscored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from vlmprobe import grpo
from vlmprobe._util.checks import check_count, check_positive
from vlmprobe._util.html import pairs, titled
from vlmprobe.data.order import StepImages, shuffled
from vlmprobe.data.source import ImageSource
from vlmprobe.grpo.options import DEFAULT_ADVANTAGES
from vlmprobe.loop.ask import calls_at_most, show_learner
from vlmprobe.loop.evaluate import SLOTS_A_CALL
from vlmprobe.loop.journal import Journal, Unkept
from vlmprobe.loop.learn import adamw, learn, remember
from vlmprobe.loop.report import StepReport, step_report
from vlmprobe.loop.schedule import CONSTANT, Schedule
from vlmprobe.loop.score import CREDITS, Reward, credit, score
from vlmprobe.loop.tally import Tally
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.protocols import Answerer, Embedder, Verifier
from vlmprobe.policy.asker import Asker
from vlmprobe.policy.questioner import Questioner
from vlmprobe.reward import paper as equation_5


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
    """Of AdamW, the default optimiser; see `schedule`."""
    schedule: Schedule = CONSTANT
    """How the learning rate changes with the number of the step."""
    epochs: int = 1
    """Updates in a step, all from its completions, with their log-probabilities as they were drawn."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    credit: str = "sequence"
    """`sequence`: one advantage per sequence; `question`: each question's own on its tokens."""
    advantages: grpo.AdvantageOptions = DEFAULT_ADVANTAGES
    """Baseline and scale of advantages within a group."""
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
        for name in ("k", "group_size", "images_per_step", "epochs"):
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


DEFAULT_OPTIONS = TrainerOptions()


class Trainer:
    """Trains a questioner to find what an answerer gets wrong.

    This is the loop alone. `vlmprobe.Trainer` is the same with what a run needs besides: a ledger, checkpoints, and
    evaluations.

    Args:
        questioner: the policy.
        answerer: the model under test, frozen.
        verifier: the judge, frozen.
        embedder: texts to unit vectors.
        images: where the pictures come from; revisited in a new order each epoch. Those that cannot be read are left
            out of their steps, and said.
        reward: a reward expression; by default equation 5.
        memory: earlier failures; by default empty.
        options: see `TrainerOptions`.
        optimizer: over `questioner.parameters()`; by default AdamW.
        scheduler: stepped after each step; by default the learning rate stays.
        journal: what is read back and written down; by default nothing is.
        asker: who asks in the questioner's place, having it ask about some of the pictures, such as `FollowUp` around
            it. What others asked is judged, rewarded and remembered, and is not learned from.
    """

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
        journal: Journal | None = None,
        asker: Asker | None = None,
    ):
        self.questioner, self.answerer, self.verifier, self.embedder = questioner, answerer, verifier, embedder
        self.images, self.options, self.journal = images, options, journal or Unkept()
        self._asker = asker
        self.reward = reward if reward is not None else equation_5()
        self.memory = memory if memory is not None else QuestionMemory(embedder.dim)
        self._check()
        if options.schedule != CONSTANT and (optimizer is not None or scheduler is not None):
            raise ValueError("[Trainer] options: schedule: expected the default beside an optimizer or a scheduler")
        if options.loss.beta > 0:
            questioner.hold_reference()  # before any weight changes
        self.optimizer = optimizer or adamw(questioner, options.learning_rate)
        self.scheduler, self.tally, self.next_step = scheduler, Tally(), 0

    def _check(self) -> None:
        """What would only show in the middle of a step, after calls were paid for."""
        if not isinstance(self.options, TrainerOptions):
            raise ValueError(f"[Trainer] options: expected TrainerOptions, got {type(self.options).__name__}")
        if self.options.overlap and isinstance(self.journal, Unkept):
            raise ValueError("[Trainer] options: overlap: expected False beside a journal that keeps nothing, got True")
        if not callable(self.reward):
            hint = "expected an expression such as reward.paper() or reward.parse(text)"
            raise ValueError(f"[Trainer] reward: {hint}, got {self.reward!r:.60}")
        if len(self.images) == 0:
            raise ValueError("[Trainer] images: expected at least one, got none")
        if self.memory.dim != self.embedder.dim:
            raise ValueError(f"[Trainer] memory: expected width {self.embedder.dim} as embedded, got {self.memory.dim}")

    def __repr__(self) -> str:
        return f"Trainer(step {self.next_step}, {len(self.images)} images, {self.tally!r}, {self.memory!r})"

    def _repr_html_(self) -> str:
        """Where it stands, and the rates of the questions so far."""
        place = pairs([("steps", self.next_step), ("pictures", len(self.images)), ("memory", repr(self.memory))])
        return titled(type(self).__name__, place, self.tally.shown())

    @property
    def asker(self) -> Asker:
        """Who asks: the questioner, unless another was given."""
        return self.questioner if self._asker is None else self._asker

    def step(self, *, max_calls: int | None = None) -> StepReport:
        """One step: ask, judge and answer, reward, credit, learn, remember, write down.

        Args:
            max_calls: answerer calls that it may make; valid questions beyond them are unscored. It must do for asking
                about one image.

        Raises:
            BudgetSpent: a model's budget did not last; the trainer stands before the step.
            Unserved: no call of a model came through; likewise. Once that is put right, the step is asked in full.
            ValueError: no picture can be read, or one that the recorded step was about.
        """
        options = self.options
        with self.journal.open(self.next_step, max_calls=max_calls) as page:
            asked = page.ask(self.asker, self.images_of, k=options.k, group_size=options.group_size, seed=options.seed)
            examined = page.examine(asked, self.answerer, self.verifier)
            scored = score(examined, self.memory, self.embedder, self.reward, within=options.within)
            credited = credit(scored, options.credit, options.advantages)
            learned = learn(
                credited, self.questioner, self.optimizer, loss=options.loss, max_grad_norm=options.max_grad_norm,
                scheduler=self.scheduler, rate=self._rate, epochs=options.epochs,
            )  # fmt: skip
            remember(self.memory, credited)
            page.write(credited, learned.numbers)
        show_learner(self.asker, credited)
        self.tally.see(credited)
        self.next_step += 1
        return step_report(credited, learned.numbers)

    @property
    def _rate(self) -> float | None:
        """The learning rate of the next step; None: it stays as the optimiser has it."""
        options = self.options
        return None if options.schedule == CONSTANT else options.learning_rate * options.schedule(self.next_step)

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
            calls: at least 1. Those of a run that goes on are known from its ledger.
            on_step: sees each report as it comes.
        """
        check_count("Trainer.spend", "calls", calls)
        least = calls_at_most(self.asker, k=self.options.k, group_size=self.options.group_size)
        reports = []
        while (left := calls - self.tally.spent) > least and len(self.tally) < SLOTS_A_CALL * calls:
            reports.append(self.step(max_calls=left))
            if on_step is not None:
                on_step(reports[-1])
        return reports

    def images_of(self, step: int) -> StepImages:
        """The images of a step that can be read: the source in a new order each epoch, cut into steps."""
        return shuffled(self.images, self.options.images_per_step, seed=self.options.seed)(step)
