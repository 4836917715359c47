"""Judge sensitivity: what other judges and other rewards make of the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vlmprobe.report.results.numbers import UNKNOWN, Difference, Estimate


@dataclass(frozen=True, kw_only=True)
class JudgedRates:
    """A method as one judge sees it."""

    method: str
    judge: str
    qvr: Estimate = UNKNOWN
    fdr: Estimate = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two methods, as each judge or reward sees them."""

    methods: Sequence[str]
    differences: Mapping[str, Difference]
    """Judge or reward -> the first method less the second."""
    flips: str | None = None
    """`order` or `significance`; None where neither changes."""


@dataclass(frozen=True, kw_only=True)
class SkillFlip:
    """A skill that is hard for one judge and not for another."""

    method: str
    skill: str
    hard: Mapping[str, bool]
    rates: Mapping[str, Estimate]
    """Judge -> FDR of the skill's questions."""


@dataclass(frozen=True, kw_only=True)
class MeanReward(Estimate):
    """A method's mean of one reward."""

    method: str
    reward: str


@dataclass(frozen=True, kw_only=True)
class Rewards:
    """Methods under several rewards."""

    names: Sequence[str] = ()
    means: Sequence[MeanReward] = ()
    ranking: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pairs: Sequence[Pair] = ()


@dataclass(frozen=True, kw_only=True)
class JudgeAgreement:
    """How far two judges agree about a method's questions."""

    method: str
    what: str
    """`validity` or `correctness`."""
    share: Estimate = UNKNOWN
    kappa: Estimate = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class JudgeSensitivity:
    """Methods under several judges."""

    judges: Sequence[str]
    """The run's own first."""
    rates: Sequence[JudgedRates] = ()
    ranking: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Judge -> the methods, the highest FDR first."""
    pairs: Sequence[Pair] = ()
    skills: Sequence[SkillFlip] = ()
    n_skills: int = 0
    """Pairs of a method and a skill that were compared."""
    n_skills_left_out: int = 0
    """Those with too few questions under one of the judges."""
    rewards: Rewards = Rewards()
    agreement: Sequence[JudgeAgreement] = ()
