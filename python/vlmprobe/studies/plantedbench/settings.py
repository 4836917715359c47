"""What a run of the benchmark is made of, and the ways of asking that it compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from vlmprobe._native import core
from vlmprobe._util.checks import check_count
from vlmprobe.methods.hinted import Hinted
from vlmprobe.methods.hints import Hints, UniformHints
from vlmprobe.methods.local_search import FollowUp
from vlmprobe.methods.random_valid import RandomValid
from vlmprobe.methods.task import Method
from vlmprobe.methods.templates import Sweep
from vlmprobe.methods.world_hints import world_bandit, world_hints, world_prompt
from vlmprobe.methods.zero_shot import ZeroShot
from vlmprobe.models.protocols import Answerer, AnsweringVerifier, Verifier
from vlmprobe.policy.asker import Asker
from vlmprobe.policy.questioner import Questioner
from vlmprobe.studies.plantedbench.trained import TRAINED
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
    confirm: int | None = None
    """Further verdicts of a verifier with `noise` on an answer that it calls wrong at first; None: none."""
    weakness: str | None = None
    """Conditions, as a JSON list of faults, under which the verifier calls every answer wrong; None: none."""
    pool: int = 256
    """Pictures."""
    k: int = 2
    """Questions per completion."""
    group_size: int = 2
    """Completions per picture of a step."""
    images_per_step: int = 16
    fresh: float | None = None
    """Share of the budget that goes into fresh questions for the modes that were found, in (0, 1); None: none."""

    described: bool | None = None
    """Whether the world's stand-in names skills of questions and tags of pictures, which modes may speak of; None:
    it does not."""

    def __post_init__(self) -> None:
        for name in ("budget", "pool", "k", "group_size", "images_per_step"):
            check_count("plantedbench", name, getattr(self, name))
        if self.answerer not in ANSWERERS:
            raise ValueError(f"[plantedbench] answerer: expected {' or '.join(ANSWERERS)}, got {self.answerer!r:.60}")
        if self.fresh is not None and not 0 < self.fresh < 1:
            raise ValueError(f"[plantedbench] fresh: expected a share in (0, 1), got {self.fresh}")
        if self.noise is not None and not 0.5 <= self.noise <= 1:
            raise ValueError(f"[plantedbench] noise: expected a rate in [0.5, 1], got {self.noise}")
        if self.confirm is not None and (self.noise is None or self.confirm < 1):
            raise ValueError(f"[plantedbench] confirm: expected at least 1 and noise beside it, got {self.confirm}")

    @property
    def asking(self) -> int:
        """Calls of the budget that go into asking; the others confirm what was found."""
        return max(1, self.budget - round((self.fresh or 0) * self.budget))

    def inner(self) -> Answerer:
        """The answerer without faults."""
        if self.answerer == "executing":
            return ExecutingAnswerer()
        from vlmprobe.vlm.answerer import HFAnswerer

        return HFAnswerer(tiny.load("answerer" if self.answerer == "large" else f"answerer-{self.answerer}"))

    def verifier(self, seed: int) -> Verifier:
        """The judge; `seed` is of its errors."""
        judge: AnsweringVerifier = OracleVerifier()
        if self.noise is not None:
            names = ("valid_sensitivity", "valid_specificity", "wrong_sensitivity", "wrong_specificity")
            rates = ErrorRates(**dict.fromkeys(names, self.noise))
            judge = NoisyVerifier(rates, seed=seed, confirm=self.confirm or 0)
        return judge if self.weakness is None else WeakVerifier(judge, core.world.FaultSet.parse(self.weakness))


def narrow() -> Questioner:
    """The package's questioner, which asks a few kinds of question most of the time, and follows hints."""
    return Questioner(tiny.load("questioner"))


def broad() -> Questioner:
    """The package's control, which asks about everything and follows no hint."""
    return Questioner(tiny.load("questioner-broad"))


def hinted(hints: Hints) -> Asker:
    """The narrow questioner, told what to ask about."""
    return narrow().with_preface(Hinted(hints, world_prompt))


ASKERS: dict[str, Callable[[], Asker]] = {
    "zero-shot": narrow,
    "zero-shot-broad": broad,
    "hints-uniform": lambda: hinted(UniformHints(world_hints())),
    "bandit": lambda: hinted(world_bandit()),
    "bandit-follow-up": lambda: FollowUp(hinted(world_bandit())),
    "uniform-follow-up": lambda: FollowUp(hinted(UniformHints(world_hints()))),
    "zero-shot-follow-up": lambda: FollowUp(narrow()),
    "random-valid": RandomValid,
    "templates": Sweep,
}
"""Who asks, by the method's name."""
ASKERS["default"] = ASKERS["bandit-follow-up"]
METHODS = (*ASKERS, *TRAINED)


def method_of(name: str) -> Method:
    """A method by its name."""
    if name in TRAINED:
        return TRAINED[name](narrow(), name)
    return ZeroShot(asker=ASKERS[name](), name=name)
