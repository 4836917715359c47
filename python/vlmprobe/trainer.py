"""GRPO training of a questioner: one step is the data flow of the paper, line by line.

Departures from the paper, each with its reason in docs/paper_index.md: the ratio of equation 1 is pi/pi_old; the
standard deviation gets 1e-4; novelty is clamped to [0, 1]; a verdict that is missing leaves the question unscored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from vlmprobe import grpo, reward
from vlmprobe._checks import check_count, check_positive
from vlmprobe.data.order import epoch_order
from vlmprobe.data.source import ImageSource
from vlmprobe.evaluation import Tally, probe, summarise
from vlmprobe.examine import Examined, examine
from vlmprobe.ledger import Ledger, RunRecord, StepRecord
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.protocols import Answerer, Embedder, Picture, Verifier
from vlmprobe.questioner import Questioner
from vlmprobe.reward import paper as equation_5
from vlmprobe.rollout import Rollouts
from vlmprobe.steps import (
    Annotator,
    assess,
    assign_credit,
    pictures_of,
    remember,
    reward_batch,
    step_record,
    update,
)
from vlmprobe.text import parse_responses

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
        for name, allowed in (("credit", ("sequence", "question")), ("within", ("none", "sequence", "step"))):
            if getattr(self, name) not in allowed:
                expected = " or ".join(allowed)
                raise ValueError(f"[TrainerOptions] {name}: expected {expected}, got {getattr(self, name)!r}")


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What a step did, in numbers; one line of metrics.jsonl."""

    step: int
    questions: int
    """Slots, k for each sequence."""
    valid: int
    """Valid questions."""
    wrong: int
    """Valid questions answered wrongly."""
    unscored: int
    """Questions whose reward is unknown."""
    calls: int
    """Answerer calls."""
    reward: float
    """Mean over the scorable sequences; NaN without any."""
    terms: Mapping[str, float]
    """Mean of each reward term over the questions for which it is known."""
    loss: float
    kl: float
    entropy: float
    clip_fraction: float
    grad_norm: float
    tokens: int
    """Completion tokens."""


class Trainer:
    """Trains a questioner to find what an answerer gets wrong.

    Args:
        questioner: the policy.
        answerer: the model under test, frozen.
        verifier: the judge, frozen.
        embedder: texts to unit vectors.
        images: where the pictures come from; revisited in a new order each epoch.
        reward: a reward expression; by default equation 5.
        memory: earlier failures; by default empty.
        options: see `TrainerOptions`.
        optimizer: over `questioner.parameters()`; by default AdamW.
        ledger: where everything is written down; None writes nothing. The run must have begun.
        run: name of the run in the ledger.
        annotate: adds what is known about a question besides, such as the world's truth.

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
        ledger: Ledger | None = None,
        run: str = "run",
        annotate: Annotator | None = None,
    ):
        self.questioner, self.answerer, self.verifier, self.embedder = questioner, answerer, verifier, embedder
        self.images, self.options, self.ledger, self.run, self.annotate = images, options, ledger, run, annotate
        self.reward = reward if reward is not None else equation_5()
        self.memory = memory if memory is not None else QuestionMemory(embedder.dim)
        self._check()
        self.optimizer = optimizer or adamw(questioner, options)
        self.tally = Tally()
        self.next_step = 0

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

    def step(self) -> StepReport:
        """One step: ask, judge, answer, reward, learn, remember, write down."""
        options, step = self.options, self.next_step
        images = self.images_of(step)
        rollouts = self.questioner.ask(images, k=options.k, group_size=options.group_size, seed=options.seed, step=step)
        questions = parse_responses(rollouts.texts, k=options.k, token_ends=rollouts.token_ends)
        pictures = pictures_of(images, rollouts, questions)
        examined = examine(pictures, questions, answerer=self.answerer, verifier=self.verifier)

        novelties = assess(self.memory, self.embedder, pictures, questions, examined, within=options.within)
        rewards = self.reward(reward_batch(rollouts, questions, pictures, examined, novelties))
        advantages = assign_credit(rewards, rollouts, questions, credit=options.credit)
        loss = self.questioner.loss(rollouts, advantages, options=options.loss)
        grad_norm = update(self.optimizer, loss.loss, max_grad_norm=options.max_grad_norm)

        remember(self.memory, self.run, step, pictures, questions, examined, novelties)
        record = step_record(
            self.run, "train", step, images, rollouts, questions, pictures, examined,
            answerer=self.answerer.identity, judge=self.verifier.identity,
            rewards=rewards, advantages=advantages, annotate=self.annotate,
        )  # fmt: skip
        self.write(record)
        self.next_step += 1
        return step_report(step, rollouts, examined, rewards, loss, grad_norm)

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
        tally = probe(
            self.questioner, self.answerer, self.verifier, in_order(images, 32), calls=n, k=self.options.k,
            seed=self.options.seed + EVALUATION_SEED, run=run, phase=phase,
            ledger=self.ledger, annotate=self.annotate,
        )  # fmt: skip
        if self.ledger is not None:
            self.ledger.finish(run)
        return tally

    def summary(self, tally: Tally) -> dict:
        """The paper's numbers over a tally; see `vlmprobe.evaluation.summarise`."""
        return summarise(tally, self.embedder)

    def images_of(self, step: int) -> list[Picture]:
        """The images of a step: the source in a new order each epoch, cut into steps."""
        return shuffled(self.images, self.options.images_per_step, seed=self.options.seed)(step)

    def write(self, record: StepRecord) -> None:
        """Counts the step, and writes it to the ledger if there is one."""
        self.tally.add(record)
        if self.ledger is not None and not self.ledger.record(record):
            raise RuntimeError(
                f"[Trainer] step {record.step} of run {self.run!r} is in the ledger already: name another run"
            )

    def save(self, directory: str | Path) -> None:
        """A checkpoint: the questioner as a Hugging Face folder, the optimiser, the memory, the step."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.questioner.model.model.save_pretrained(directory / "questioner")
        self.questioner.model.processor.save_pretrained(directory / "questioner")
        self.memory.save(directory / "memory")
        state = {"optimizer": self.optimizer.state_dict(), "step": self.next_step}
        torch.save(state, directory / "optimizer.pt.part")
        (directory / "optimizer.pt.part").rename(directory / "optimizer.pt")


def adamw(questioner: Questioner, options: TrainerOptions) -> torch.optim.AdamW:
    """The default optimiser."""
    return torch.optim.AdamW(questioner.parameters(), lr=options.learning_rate, weight_decay=0.0)


def shuffled(images: ImageSource, per_step: int, *, seed: int) -> Callable[[int], list[Picture]]:
    """step -> its images: every epoch sees each image once, in an order of its own."""
    check_count("shuffled", "per_step", per_step)
    if not len(images):
        raise ValueError("[shuffled] images: expected at least one, got none")

    def of(step: int) -> list[Picture]:
        epoch, order = -1, []
        chosen: list[Picture] = []
        for at in range(step * per_step, (step + 1) * per_step):
            if at // len(images) != epoch:
                epoch = at // len(images)
                order = epoch_order(len(images), seed=seed, epoch=epoch)
            chosen.append(images[order[at % len(images)]])
        return chosen

    return of


def in_order(images: ImageSource, per_step: int) -> Callable[[int], list[Picture]]:
    """step -> its images, in the source's own order, from the start again after the last."""
    check_count("in_order", "per_step", per_step)
    if not len(images):
        raise ValueError("[in_order] images: expected at least one, got none")
    return lambda step: [images[at % len(images)] for at in range(step * per_step, (step + 1) * per_step)]


def step_report(
    step: int, rollouts: Rollouts, examined: Examined, rewards: reward.Rewards, loss: grpo.Loss, grad_norm: float
) -> StepReport:
    """The step's numbers."""
    valid = examined.valid == 1
    return StepReport(
        step=step,
        questions=len(examined.valid),
        valid=int(valid.sum()),
        wrong=int((valid & (examined.correct == 0)).sum()),
        unscored=int(rewards.question.isnan().sum()),
        calls=examined.calls,
        reward=float(rewards.total.nanmean()),
        terms={name: float(value.nanmean()) for name, value in rewards.terms.items()},
        loss=float(loss.loss.detach()),
        kl=loss.kl,
        entropy=loss.entropy,
        clip_fraction=loss.clip_fraction,
        grad_norm=grad_norm,
        tokens=int(rollouts.mask.sum()),
    )
