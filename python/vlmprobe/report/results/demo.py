"""The results of a demo: ways of asking on the same planted faults, pictures and number of answerer calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlmprobe.probe.hints import AskedFor
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.results.reading import read


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A planted fault."""

    mass: float | None = None
    """Its share of valid questions about the pictures."""
    when: Mapping[str, object] = field(default_factory=dict)
    """Feature -> a value, a list of values, or `min` and `max`."""
    effect: str = ""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a way of asking did to a fault: numbers of different pairs of a picture and a question."""

    reached: float | None = None
    detected: float | None = None
    calls_to_10: float | None = None
    """Answerer calls after which ten pairs were detected; None: never."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The numbers of a way of asking."""

    answerer_calls: float | None = None
    questions_asked: float | None = None
    seconds: float | None = None
    n_valid: float | None = None
    n_unscored: float | None = None
    qvr: float | None = None
    qvr_interval: Sequence[float | None] = (None, None)
    fdr: float | None = None
    fdr_interval: Sequence[float | None] = (None, None)
    ld: float | None = None
    """Entropy of the first two words, divided by the logarithm of n."""
    families: float | None = None
    """Effective number among the valid questions."""
    distinct_failing_programs: float | None = None
    reached: int | None = None
    """Faults, as all that follows."""
    detected_3: int | None = None
    detected_10: int | None = None
    curve: Sequence[Sequence[int]] = ()
    """[calls, detected_3, detected_10] where one of these changes."""
    faults: Mapping[str, Found] = field(default_factory=dict)
    """Id of a fault -> what became of it."""

    def __post_init__(self) -> None:
        for name in ("qvr_interval", "fdr_interval"):
            if len(getattr(self, name)) != 2:
                raise ValueError(f"[report] {name}: expected two ends, got {len(getattr(self, name))}")
        for point in self.curve:
            if len(point) != 3:
                raise ValueError(f"[report] curve: expected [calls, faults, faults], got {len(point)} numbers")

    @property
    def validity(self) -> Estimate:
        """QVR, of all questions."""
        low, high = self.qvr_interval
        return Estimate(value=self.qvr, low=low, high=high, n=self.questions_asked)

    @property
    def failure(self) -> Estimate:
        """FDR, of the valid questions."""
        low, high = self.fdr_interval
        return Estimate(value=self.fdr, low=low, high=high, n=self.n_valid)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a demo found."""

    arms: Mapping[str, Arm]
    """Name -> a way of asking; the first is the one that the page is about."""
    planted: Mapping[str, Fault] = field(default_factory=dict)
    """Id -> a planted fault."""
    reachable: int | None = None
    """Faults of at least the mass from which on one can be expected to be reached."""
    hints: Sequence[AskedFor] = ()
    """What the first arm was told to ask about."""
    seconds: float | None = None
    seed: int | None = None
    pictures: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.arms:
            raise ValueError("[report] summary.arms: expected at least one, got none")

    @property
    def calls(self) -> float | None:
        """Answerer calls of each arm; None where they differ or are not known."""
        calls = {arm.answerer_calls for arm in self.arms.values()}
        return calls.pop() if len(calls) == 1 else None


def read_summary(content: Mapping[str, Any]) -> Summary:
    """The results that `summary.json` holds.

    Raises:
        ValueError: there is no arm, or a part is of another shape; names it.
    """
    return read(Summary, content, "summary")
