"""What the paper's figures show. A figure without methods, skills or stages has nothing to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vlmprobe.report.results.numbers import NO_DIFFERENCE, Difference, Estimate


@dataclass(frozen=True, kw_only=True)
class PaperSkills:
    """The paper's numbers of a method's skills."""

    skills: float | None = None
    exclusive: float | None = None


@dataclass(frozen=True, kw_only=True)
class MethodSkills:
    """Numbers of a method's skills, means of the seeds."""

    name: str
    skills: float | None = None
    shared: float | None = None
    """Found by every method."""
    exclusive: float | None = None
    """Found by this one alone."""
    paper: PaperSkills = PaperSkills()


@dataclass(frozen=True, kw_only=True)
class SharedSkills:
    """Figure 4."""

    methods: Sequence[MethodSkills] = ()


@dataclass(frozen=True, kw_only=True)
class MethodCombinations:
    """The number of different sets of skills that a method's questions need."""

    name: str
    combinations: Estimate


@dataclass(frozen=True, kw_only=True)
class Combinations:
    """Figure 5a."""

    methods: Sequence[MethodCombinations] = ()


@dataclass(frozen=True, kw_only=True)
class MethodShares:
    """The shares of a method's questions that need one skill, two, ..., so many or more."""

    name: str
    shares: Sequence[Estimate]


@dataclass(frozen=True, kw_only=True)
class SkillsPerQuestion:
    """Figure 5b."""

    methods: Sequence[MethodShares] = ()


@dataclass(frozen=True, kw_only=True)
class Point(Estimate):
    """FDR of all questions asked so far."""

    asked: int


@dataclass(frozen=True, kw_only=True)
class MethodCurve:
    """A method's curve, and the second half of its questions less the first."""

    name: str
    points: Sequence[Point]
    rise: Difference = NO_DIFFERENCE


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The curve of the paper's appendix."""

    methods: Sequence[MethodCurve] = ()


@dataclass(frozen=True, kw_only=True)
class SkillDensity:
    """How dense a skill is in the windows of training."""

    skill: str
    kind: str
    """`early`, `late`, `persistent`, `undecided`."""
    densities: Sequence[float | None]
    q: float | None = None
    n: float | None = None


@dataclass(frozen=True, kw_only=True)
class Densities:
    """Figure 6."""

    method: str
    steps: Sequence[int]
    """The first and the last."""
    skills: Sequence[SkillDensity] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """Kind -> number of skills."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, how it was judged, and its answer."""

    text: str
    valid: bool | None = None
    correct: bool | None = None
    answer: str | None = None
    truth: object = None
    """As whoever annotates the questions has it."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The questions of a training step."""

    step: int
    questions: Sequence[Question]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Figure 7."""

    method: str
    image: str
    png: str | None = None
    """Base64; None where the picture is not kept."""
    stages: Sequence[Stage] = ()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Those that a run has numbers for."""

    shared_skills: SharedSkills | None = field(default=None, metadata={"key": "figure-4"})
    combinations: Combinations | None = field(default=None, metadata={"key": "figure-5a"})
    skills_per_question: SkillsPerQuestion | None = field(default=None, metadata={"key": "figure-5b"})
    curve: Curve | None = None
    densities: Densities | None = field(default=None, metadata={"key": "figure-6"})
    scene: Scene | None = field(default=None, metadata={"key": "figure-7"})
