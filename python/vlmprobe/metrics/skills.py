"""What questions test: numbers over the skills of each question. Labels of skills may come from anywhere.

`skills` is always [N] collections of labels, one for each valid question; a label twice in a question counts once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from vlmprobe._native import core
from vlmprobe._optional import require
from vlmprobe.metrics.rates import Rate, rate

Skill = str
ABOVE = 20  # the paper counts skills with more than 20 questions


def counts(skills: Sequence[Collection[Skill]]) -> Counter[Skill]:
    """Questions of each skill."""
    return Counter(skill for each in skills for skill in set(each))


def known_skills(skills: Sequence[Collection[Skill]], *, above: int = ABOVE) -> set[Skill]:
    """The skills with more than `above` questions: the paper's number of skills is how many there are.

    It grows with the number of questions: compare at equal n.

    Example:
        >>> sorted(known_skills([["count"], ["count", "color"], ["color", "count"]], above=1))
        ['color', 'count']
    """
    return {skill for skill, count in counts(skills).items() if count > above}


def coverage(skills: Sequence[Collection[Skill]]) -> float:
    """Mean number of skills per question (the paper's skill coverage); NaN for no question."""
    return sum(len(set(each)) for each in skills) / len(skills) if skills else math.nan


def combinations(skills: Sequence[Collection[Skill]]) -> int:
    """Different sets of skills among the questions (figure 5a); questions without a skill are left out."""
    return len({frozenset(each) for each in skills if each})


def shares_by_count(skills: Sequence[Collection[Skill]], *, most: int = 4) -> list[float]:
    """[most] share of the questions with 1, 2, ... skills, and with `most` or more (figure 5b); NaN for no question.

    Questions without a skill count in the whole, so the shares may sum to less than 1.
    """
    sizes = Counter(min(len(set(each)), most) for each in skills)
    return [sizes[size] / len(skills) if skills else math.nan for size in range(1, most + 1)]


def exclusive(methods: Mapping[str, Collection[Skill]]) -> dict[str, set[Skill]]:
    """The skills of each method that no other has (figure 4).

    Example:
        >>> exclusive({"RL": {"count", "color"}, "SFT": {"color"}})
        {'RL': {'count'}, 'SFT': set()}
    """
    owners = Counter(skill for skills in methods.values() for skill in set(skills))
    return {name: {skill for skill in skills if owners[skill] == 1} for name, skills in methods.items()}


def shared(methods: Mapping[str, Collection[Skill]]) -> set[Skill]:
    """The skills that every method has."""
    sets = [set(skills) for skills in methods.values()]
    return set.intersection(*sets) if sets else set()


@dataclass(frozen=True)
class SkillRate:
    """How often questions of a skill are answered wrongly."""

    skill: Skill
    rate: Rate
    """Clustered by image."""
    p: float
    """Of a rate no higher than that of the questions without the skill; one-sided."""
    q: float
    """The same, corrected for all skills (Benjamini-Hochberg)."""


def failure_rates(
    skills: Sequence[Collection[Skill]],
    wrong: Sequence[bool | None],
    *,
    cluster: Sequence[Hashable],
    above: int = ABOVE,
) -> list[SkillRate]:
    """Failure rates by skill, the highest first; ties by name.

    p compares a skill's questions with all others: difference of the two rates over the square root of the sum of
    their clustered variances, by the normal distribution. Where no other question is scored, or the variance is 0, it
    is 1.

    Args:
        skills: [N] of each valid question.
        wrong: [N] True, False or None (unscored).
        cluster: [N] images.
        above: skills with no more scored questions than this are left out.

    Raises:
        ValueError: unequal lengths.
        ModuleNotFoundError: SciPy is missing; names the extra.
    """
    for name, column in (("wrong", wrong), ("cluster", cluster)):
        if len(column) != len(skills):
            raise ValueError(f"[metrics::failure_rates] {name}: expected {len(skills)} rows, got {len(column)}")
    stats = require("scipy.stats", extra="metrics")
    sets = [set(each) for each in skills]
    found: list[tuple[Skill, Rate, float]] = []
    for skill in sorted(counts(skills)):
        inside, outside = ([i for i, each in enumerate(sets) if (skill in each) is is_in] for is_in in (True, False))
        within = _rate(inside, wrong, cluster)
        if within.n > above:
            found.append((skill, within, _higher(within, _rate(outside, wrong, cluster), stats)))
    q = stats.false_discovery_control([p for _, _, p in found]) if found else []
    rates = [SkillRate(skill, each, p, float(corrected)) for (skill, each, p), corrected in zip(found, q, strict=True)]
    return sorted(rates, key=lambda each: (-each.rate.value, each.skill))


def _rate(rows: Sequence[int], wrong: Sequence[bool | None], cluster: Sequence[Hashable]) -> Rate:
    return rate([wrong[i] for i in rows], cluster=[cluster[i] for i in rows])


def _higher(a: Rate, b: Rate, stats: ModuleType) -> float:
    if b.n == 0:
        return 1.0
    variance = sum(each.value * (1 - each.value) / each.n_effective for each in (a, b))
    return float(stats.norm.sf((a.value - b.value) / math.sqrt(variance))) if variance > 0 else 1.0


def halves(cluster: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Rows of one half of the images and of the other: skills are named on one and rated on the other.

    Which half an image is in depends on its name alone, so a split stays when images are added.

    Example:
        >>> first, second = halves(["a", "b", "a", "c"])
        >>> sorted(first + second)
        [0, 1, 2, 3]
    """
    place = {image: core.hash(str(image)) % 2 for image in set(cluster)}
    rows = list(enumerate(cluster))
    return [i for i, image in rows if place[image] == 0], [i for i, image in rows if place[image] == 1]
