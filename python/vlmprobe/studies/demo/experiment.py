"""The demo's experiment: ways of asking, on the same planted faults and pictures, at equally many answerer calls.

Everything that decides the numbers is in `Settings`; two runs with equal settings write equal ledgers but for times.
The ledger has a run for each way, and the run `HEAD`, which has the settings and lasts as long as the demo.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from vlmprobe import reward
from vlmprobe._native import core
from vlmprobe._util.checks import check_count
from vlmprobe.ledger import RunRecord
from vlmprobe.methods.rl import RL
from vlmprobe.methods.task import Method, Task
from vlmprobe.models.protocols import Embedder
from vlmprobe.run.directory import RunDirectory, versions
from vlmprobe.studies.arms import training
from vlmprobe.studies.plan import SMALL
from vlmprobe.studies.plantedbench.settings import AnswererName, method_of, narrow
from vlmprobe.studies.plantedbench.settings import Settings as BenchSettings
from vlmprobe.world.answerers import FaultyAnswerer, load_faults
from vlmprobe.world.source import POOL_SEED, WorldImages
from vlmprobe.world.truth import annotator

HEAD = "demo"
DEFAULT = "default"
ZERO_SHOT = "zero-shot"
PAPER = "paper"
_ANSWERERS: dict[str, AnswererName] = {"executing": "executing", "tiny": "large"}
GROUP_SIZE, IMAGES_PER_STEP = 8, 8  # of a training step, as in `vlmprobe reproduce`


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the demo runs."""

    calls: int = 4000
    """Answerer calls of each way of asking, those of training among them."""
    seed: int = 0
    """Of sampling and of the order of the pictures."""
    answerer: str = "executing"
    """`executing`: always right but for the faults; `tiny`: a small model with weaknesses of its own."""
    faults: str | None = None
    """Fault file; by default the shipped faults for `executing`, none for `tiny`."""
    reward: str = PAPER
    """Another preset's name or expression is trained with, too, beside the paper's."""
    pictures: int = 256

    def __post_init__(self) -> None:
        for name in ("calls", "pictures"):
            check_count("demo", name, getattr(self, name))
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"[demo] seed: expected 0 to 2**32 - 1, got {self.seed}")
        if self.answerer not in _ANSWERERS:
            raise ValueError(f"[demo] answerer: expected {' or '.join(_ANSWERERS)}, got {self.answerer!r}")
        reward.parse(self.reward)
        self.planted()

    def planted(self) -> core.world.FaultSet | None:
        """The faults to plant, or None."""
        if self.faults is None:
            return load_faults() if self.answerer == "executing" else None
        return load_faults(self.faults)

    def bench(self) -> BenchSettings:
        """These as PlantedBench has them."""
        return BenchSettings(budget=self.calls, answerer=_ANSWERERS[self.answerer], pool=self.pictures)


@dataclass
class Experiment:
    """The models and pictures of a demo, and its ways of asking.

    Args:
        settings: what to run.
        embedder: texts to unit vectors, for the novelty terms of rewards.
        folder: where everything is written down and progress is said.
    """

    settings: Settings
    embedder: Embedder
    folder: RunDirectory

    def __post_init__(self) -> None:
        self.bench, self.faults = self.settings.bench(), self.settings.planted()
        inner = self.bench.inner()
        self.answerer = inner if self.faults is None else FaultyAnswerer(inner, self.faults)
        self.verifier = self.bench.verifier(self.settings.seed)
        self.images = WorldImages(self.settings.pictures, seed=POOL_SEED)

    def run(self) -> None:
        """All ways of asking, one after the other; the ledger has them afterwards."""
        ledger = self.folder.ledger
        ledger.begin(self.head())
        for method, task in self.arms():
            self.folder.stage = method.name
            self.folder.say(f"{method.name}: {task.calls:,} answerer calls")
            try:
                method.run(task)
            finally:
                self.folder.done = len(ledger.recorded_steps(method.name))
        ledger.finish(HEAD)

    def arms(self) -> Iterator[tuple[Method, Task]]:
        """Each way of asking with its task."""
        bench = self.bench
        for name in (DEFAULT, ZERO_SHOT):
            yield method_of(name), self.task(bench.group_size, bench.images_per_step)
        for name in trained(self.settings.reward):
            learns = RL(questioner=narrow(), options=training(SMALL), reward=SMALL.formula(name), name=name)
            yield learns, self.task(GROUP_SIZE, IMAGES_PER_STEP)

    def task(self, group_size: int, images_per_step: int) -> Task:
        """What a way of asking gets."""
        return Task(
            images=self.images,
            answerer=self.answerer,
            verifier=self.verifier,
            embedder=self.embedder,
            calls=self.settings.calls,
            ledger=self.folder.ledger,
            k=self.bench.k,
            group_size=group_size,
            images_per_step=images_per_step,
            seed=self.settings.seed,
            annotate=annotator(self.answerer),
            versions=versions(),
        )

    def head(self) -> RunRecord:
        """The settings, with the faults as they were read, and who took part."""
        roles = {name: getattr(self, name).identity for name in ("answerer", "verifier", "embedder")}
        planted = None if self.faults is None else self.faults.to_json()
        config = {**asdict(self.settings), "faults": planted}
        return RunRecord(id=HEAD, config=config, versions=versions(), identities=roles)


def trained(formula: str) -> list[str]:
    """Names of the rewards that a demo trains with: the paper's, then the one that was asked for, if it is another."""
    return list(dict.fromkeys((PAPER, reward_name(formula))))


def reward_name(formula: str) -> str:
    """`paper` for text that parses to equation 5 as `reward.paper()` writes it, else the text itself."""
    return PAPER if repr(reward.parse(formula)) == repr(reward.paper()) else formula
