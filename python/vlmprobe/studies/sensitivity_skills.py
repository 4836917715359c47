"""Which skills of a method are hard for one judge and not for another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from vlmprobe.metrics import Rate
from vlmprobe.metrics.skills import SkillRate, failure_rates, known_skills
from vlmprobe.studies.sensitivity_pairs import Column
from vlmprobe.studies.values import Plain, plain_estimate

Judged = tuple[Sequence[Collection[str]], Column]
"""[V] skills of the questions that a judge holds valid, and whether their answers were wrong."""


@dataclass(frozen=True)
class SkillFlip:
    """A skill that is hard for one judge and not for another."""

    method: str
    skill: str
    hard: Mapping[str, bool]
    """Judge to whether q is below the level."""
    rates: Mapping[str, Rate]
    """Judge to the failure rate of the skill's questions."""
    q: Mapping[str, float]
    """Judge to q, corrected over the skills of the method that were compared."""

    def plain(self) -> Plain:
        """As values that JSON has."""
        rates = {judge: plain_estimate(rate) for judge, rate in self.rates.items()}
        return {"method": self.method, "skill": self.skill, "hard": dict(self.hard), "rates": rates, "q": dict(self.q)}


@dataclass(frozen=True)
class SkillsCompared:
    """The skills of a method under several judges."""

    flips: tuple[SkillFlip, ...]
    """By name."""
    compared: int
    """Skills with enough scored questions under every judge."""
    left_out: int
    """Skills with enough of them under some judges only: neither flips nor the same."""


def skills_compared(method: str, by: Mapping[str, Judged], above: int, level: float) -> SkillsCompared:
    """Tests the skills by `metrics.skills.failure_rates`, the same ones under each judge, so that no flip comes from
    how many were tested.

    Args:
        method: whose questions these are.
        by: judge to the questions.
        above: least number of scored questions of a skill, exclusive.
        level: of the q-values.
    """
    enough = [_with_enough(judged, above) for judged in by.values()]
    some = {skill for skills in enough for skill in skills}
    compared = {skill for skill in some if all(skill in skills for skills in enough)}
    tested = {judge: _tested(judged, compared, above) for judge, judged in by.items()}
    flips = [_flip(method, {judge: found[skill] for judge, found in tested.items()}, level) for skill in compared]
    kept = sorted((flip for flip in flips if len(set(flip.hard.values())) > 1), key=lambda flip: flip.skill)
    return SkillsCompared(tuple(kept), len(compared), len(some - compared))


def _with_enough(judged: Judged, above: int) -> set[str]:
    skills, failed = judged
    scored = [each for each, wrong in zip(skills, failed.values, strict=True) if wrong is not None]
    return known_skills(scored, above=above)


def _tested(judged: Judged, compared: Collection[str], above: int) -> dict[str, SkillRate]:
    if not compared:
        return {}
    skills, failed = judged
    rates = failure_rates(skills, failed.values, cluster=failed.images, above=above, only=compared)
    return {each.skill: each for each in rates}


def _flip(method: str, found: Mapping[str, SkillRate], level: float) -> SkillFlip:
    return SkillFlip(
        method,
        next(iter(found.values())).skill,
        hard={judge: each.q < level for judge, each in found.items()},
        rates={judge: each.rate for judge, each in found.items()},
        q={judge: each.q for judge, each in found.items()},
    )
