"""What a run of the benchmark is made of, and the ways of asking that it compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from vlmprobe._native import core
from vlmprobe._util.checks import check_count
from vlmprobe.methods.bandit import Bandit
from vlmprobe.methods.hinted import Hinted
from vlmprobe.methods.hints import Hints, UniformHints
from vlmprobe.methods.local_search import FollowUp
from vlmprobe.methods.random_valid import RandomValid
from vlmprobe.methods.task import Method
from vlmprobe.methods.templates import Sweep
from vlmprobe.methods.world_hints import can_be_told, world_hints, world_prompt
from vlmprobe.methods.zero_shot import ZeroShot
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.policy.asker import Asker
from vlmprobe.policy.questioner import Questioner
from vlmprobe.world import tiny
from vlmprobe.world.answerers import ExecutingAnswerer
from vlmprobe.world.verifiers import ErrorRates, NoisyVerifier, OracleVerifier
from vlmprobe.world.weak_verifier import WeakVerifier

AnswererName = Literal["executing", "small", "medium", "large"]
ANSWERERS: tuple[AnswererName, ...] = get_args(AnswererName)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The same for all runs that are compared."""

    budget: int = 6000
    """Answerer calls, those of training among them."""
    answerer: AnswererName = "executing"
    """Whom the faults are planted in: one that is always right, or a small model with errors of its own."""
    control: bool = False
    """The faults are there and never fire."""
    noise: float | None = None
    """How often the verifier is right, of each kind of verdict; None: always."""
    weakness: str | None = None
    """Conditions, as a JSON list of faults, under which the verifier calls every answer wrong; None: none."""
    narrow: str | None = None
    """Folder of the narrow questioner's weights; None: the package's questioner."""
    pool: int = 256
    """Pictures."""
    k: int = 2
    """Questions per completion."""
    group_size: int = 2
    """Completions per picture of a step."""
    images_per_step: int = 16
    confirm: float = 0.0
    """Share of the budget that goes into fresh questions for the modes that were found, in [0, 1)."""

    def __post_init__(self) -> None:
        for name in ("budget", "pool", "k", "group_size", "images_per_step"):
            check_count("plantedbench", name, getattr(self, name))
        if self.answerer not in ANSWERERS:
            raise ValueError(f"[plantedbench] answerer: expected {' or '.join(ANSWERERS)}, got {self.answerer!r:.60}")
        if not 0 <= self.confirm < 1:
            raise ValueError(f"[plantedbench] confirm: expected a share in [0, 1), got {self.confirm}")
        if self.noise is not None and not 0.5 <= self.noise <= 1:
            raise ValueError(f"[plantedbench] noise: expected a rate in [0.5, 1], got {self.noise}")

    @property
    def asking(self) -> int:
        """Calls of the budget that go into asking; the others confirm what was found."""
        return max(1, self.budget - round(self.confirm * self.budget))

    def inner(self) -> Answerer:
        """The answerer without faults."""
        if self.answerer == "executing":
            return ExecutingAnswerer()
        from vlmprobe.vlm.answerer import HFAnswerer

        return HFAnswerer(tiny.load("answerer" if self.answerer == "large" else f"answerer-{self.answerer}"))

    def verifier(self, seed: int) -> Verifier:
        """The judge; `seed` is of its errors."""
        judge: Verifier = OracleVerifier()
        if self.noise is not None:
            names = ("valid_sensitivity", "valid_specificity", "wrong_sensitivity", "wrong_specificity")
            judge = NoisyVerifier(ErrorRates(**dict.fromkeys(names, self.noise)), seed=seed)
        return judge if self.weakness is None else WeakVerifier(judge, core.world.FaultSet.parse(self.weakness))

    def questioner(self) -> Questioner:
        """The narrow one."""
        if self.narrow is None:
            return Questioner(tiny.load("questioner"))
        from vlmprobe.vlm.model import VisionLanguageModel

        return Questioner(VisionLanguageModel.load(self.narrow))


def broad() -> Questioner:
    """The package's control, which asks about everything and follows no hint."""
    return Questioner(tiny.load("questioner-broad"))


def hinted(settings: Settings, hints: Hints) -> Asker:
    """The narrow questioner, told what to ask about."""
    return settings.questioner().with_preface(Hinted(hints, world_prompt))


ASKERS: dict[str, Callable[[Settings], Asker]] = {
    "zero-shot": lambda settings: settings.questioner(),
    "zero-shot-broad": lambda settings: broad(),
    "hints-uniform": lambda settings: hinted(settings, UniformHints(world_hints())),
    "bandit": lambda settings: hinted(settings, Bandit(world_hints(), fits=can_be_told)),
    "bandit-follow-up": lambda settings: FollowUp(hinted(settings, Bandit(world_hints(), fits=can_be_told))),
    "uniform-follow-up": lambda settings: FollowUp(hinted(settings, UniformHints(world_hints()))),
    "zero-shot-follow-up": lambda settings: FollowUp(settings.questioner()),
    "random-valid": lambda settings: RandomValid(),
    "templates": lambda settings: Sweep(),
}
"""Who asks, by the method's name."""
ASKERS["default"] = ASKERS["bandit-follow-up"]
METHODS = tuple(ASKERS)


def method_of(name: str, settings: Settings) -> Method:
    """A method by its name."""
    return ZeroShot(asker=ASKERS[name](settings), name=name)
