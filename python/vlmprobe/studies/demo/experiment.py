"""The demo's experiment: evaluate, train, evaluate again, and compare whole runs at equal answerer calls.

Everything that decides the numbers is in `Settings`; two runs with equal settings write equal ledgers but for times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vlmprobe import grpo, reward
from vlmprobe._native import core
from vlmprobe._util.checks import check_count, check_positive
from vlmprobe.data.order import in_order, shuffled
from vlmprobe.ledger import RunRecord
from vlmprobe.loop.tally import Tally
from vlmprobe.loop.trainer import TrainerOptions
from vlmprobe.models.protocols import Embedder, Picture
from vlmprobe.models.service import StepNotMade
from vlmprobe.policy.questioner import Questioner
from vlmprobe.run.directory import RunDirectory, versions
from vlmprobe.run.probe import probe
from vlmprobe.run.trainer import EVALUATION_SEED, Trainer
from vlmprobe.vlm.answerer import HFAnswerer
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer, FaultyAnswerer, load_faults
from vlmprobe.world.source import HELD_OUT_SEED, POOL_SEED, WorldImages
from vlmprobe.world.truth import annotator
from vlmprobe.world.verifiers import OracleVerifier

PAPER = "paper"
ZERO_SHOT = "zero-shot"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the demo runs."""

    steps: int = 100
    """Training steps."""
    seed: int = 0
    """Of sampling and image order."""
    answerer: str = "executing"
    """`executing`: always right but for the faults; `tiny`: a small model with weaknesses of its own."""
    faults: str | None = None
    """Fault file; by default the shipped faults for `executing`, none for `tiny`."""
    reward: str = PAPER
    """A preset's name or an expression."""
    k: int = 3
    """Questions per sequence."""
    pool: int = 64
    """Training pictures, revisited over epochs."""
    held_out: int = 512
    """Pictures of the evaluations."""
    calls: int = 1200
    """Answerer calls of each evaluation."""
    learning_rate: float = 2e-4
    """The tiny questioner's; real models take much less."""
    beta: float = 0.04
    """Weight of the KL term: at 0.01 the policy narrows onto one fault before novelty can steer it (docs/LOG.md)."""

    def __post_init__(self) -> None:
        for name in ("steps", "k", "pool", "held_out", "calls"):
            check_count("demo", name, getattr(self, name))
        check_positive("demo", "learning_rate", self.learning_rate)
        replace(grpo.PAPER, beta=self.beta)
        if self.k > tiny.MAX_SLOTS:
            raise ValueError(f"[demo] k: expected at most {tiny.MAX_SLOTS}, got {self.k}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"[demo] seed: expected 0 to 2**32 - 1, got {self.seed}")
        if self.answerer not in ("executing", "tiny"):
            raise ValueError(f"[demo] answerer: expected executing or tiny, got {self.answerer!r}")
        reward.parse(self.reward)
        self.planted()

    def planted(self) -> core.world.FaultSet | None:
        """The faults to plant, or None."""
        if self.faults is None:
            return load_faults() if self.answerer == "executing" else None
        return load_faults(self.faults)


@dataclass
class Experiment:
    """The models and pictures of a demo, and its stages.

    Args:
        settings: what to run.
        embedder: texts to unit vectors.
        folder: where everything is written down and progress is said.
    """

    settings: Settings
    embedder: Embedder
    folder: RunDirectory

    def __post_init__(self) -> None:
        settings = self.settings
        faults = settings.planted()
        inner = ExecutingAnswerer() if settings.answerer == "executing" else HFAnswerer(tiny.load("answerer"))
        self.answerer = inner if faults is None else FaultyAnswerer(inner, faults)
        self.faults = faults
        self.verifier, self.annotate = OracleVerifier(), annotator(self.answerer)
        self.pool = WorldImages(settings.pool, seed=POOL_SEED)
        self.held_out = WorldImages(settings.held_out, seed=HELD_OUT_SEED)
        self.untrained = Questioner(tiny.load("questioner-broad"))

    def run(self) -> None:
        """All of it, in order; the ledger has it afterwards."""
        settings = self.settings
        self.evaluate(self.untrained, "before")
        self.trainer = self.train(settings.reward)
        self.evaluate(self.trainer.questioner, "after")
        calls = [self.trainer.tally.calls]
        if reward_name(settings.reward) != PAPER:
            calls.append(self.train(PAPER).tally.calls)
        if min(calls):
            self.zero_shot(min(calls))

    def train(self, formula: str) -> Trainer:
        """A fresh questioner, trained with the given reward."""
        run = training(formula)
        self.begin(run, reward=formula)
        trainer = Trainer(
            Questioner(tiny.load("questioner-broad"), reference=self.untrained.model),
            self.answerer,
            self.verifier,
            self.embedder,
            self.pool,
            reward=reward.parse(formula),
            options=self.options(),
            ledger=self.folder.ledger,
            run=run,
            annotate=self.annotate,
        )
        self.folder.say(f"{run}: {self.settings.steps} steps with the reward {trainer.reward!r}")
        try:
            trainer.train(self.settings.steps, on_step=self.folder.on_step)
        except StepNotMade:
            self.folder.save(trainer)
            raise
        self.folder.ledger.finish(run)
        return trainer

    def options(self) -> TrainerOptions:
        """The trainer's options at this size."""
        settings = self.settings
        return TrainerOptions(
            k=settings.k,
            learning_rate=settings.learning_rate,
            credit="question",
            loss=replace(grpo.PAPER, beta=settings.beta),
            seed=settings.seed,
        )

    def evaluate(self, questioner: Questioner, phase: str) -> Tally:
        """The held-out pictures in order, the same sampling numbers each time, until the calls are spent."""
        return self.ask(questioner, phase, in_order(self.held_out, 64), self.settings.calls, EVALUATION_SEED, 1)

    def zero_shot(self, calls: int) -> Tally:
        """The untrained questioner on the training pictures, as a training run would have asked."""
        options = self.options()
        images = shuffled(self.pool, options.images_per_step, seed=self.settings.seed)
        return self.ask(self.untrained, ZERO_SHOT, images, calls, 0, options.group_size)

    def ask(
        self,
        questioner: Questioner,
        phase: str,
        images_of: Callable[[int], Sequence[Picture]],
        calls: int,
        seed: int,
        group_size: int,
    ) -> Tally:
        """A frozen questioner with a budget."""
        self.begin(phase, calls=calls)
        self.folder.say(f"{phase}: {calls} answers, nothing is trained")
        tally = probe(
            questioner,
            self.answerer,
            self.verifier,
            images_of,
            calls=calls,
            k=self.settings.k,
            group_size=group_size,
            seed=self.settings.seed + seed,
            run=phase,
            phase=phase,
            ledger=self.folder.ledger,
            annotate=self.annotate,
        )
        if tally.calls < calls:
            self.folder.say(f"{phase}: gave up after {len(tally)} questions with {tally.calls} of {calls} answers")
        self.folder.ledger.finish(phase)
        return tally

    def begin(self, run: str, **what: Any) -> None:
        """Writes a run's head into the ledger."""
        self.folder.stage = run
        roles = {
            "questioner": self.untrained.identity,
            "answerer": self.answerer.identity,
            "verifier": self.verifier.identity,
            "embedder": self.embedder.identity,
        }
        planted = None if self.faults is None else self.faults.to_json()
        config = {**vars(self.settings), **asdict(self.options()), **what, "faults": planted}
        self.folder.ledger.begin(RunRecord(id=run, config=config, versions=versions(), identities=roles))


def reward_name(formula: str) -> str:
    """`paper` for text that parses to equation 5 as `reward.paper()` writes it, else the text itself."""
    return PAPER if repr(reward.parse(formula)) == repr(reward.paper()) else formula


def training(formula: str) -> str:
    """The run that a questioner is trained in with a reward."""
    return f"train {reward_name(formula)}"
