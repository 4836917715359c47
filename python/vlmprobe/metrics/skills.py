"""What questions test: numbers over the skills of each question. Labels of skills may come from anywhere.

`skills` is always [N] collections of labels, one for each valid question; a label twice in a question counts once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from vlmprobe._native import core
from vlmprobe._util.optional import require
from vlmprobe.metrics._cells import Cells, cells, corrected, scored
from vlmprobe.metrics.estimate import Estimate, Floats, resampled_count
from vlmprobe.metrics.rates import Rate, rate
from vlmprobe.metrics.resampling import mean

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


def number(
    skills: Sequence[Collection[Skill]],
    *,
    cluster: Sequence[Hashable],
    above: int = ABOVE,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """How many `known_skills` there are, with an interval by resampling images.

    A number over a threshold is no smooth function of the rows, so leaving out groups of images (`at_equal_n`) would
    say nothing. The interval is never narrower than if one skill hung on a single image. For thresholds of some ten
    questions; at `above=0` it is too narrow.

    Example:
        >>> number([["count"], ["count", "color"], ["color"]], cluster=["a", "b", "c"], above=1).value
        2.0
    """
    sums = counts_by_image([(skills, cluster)])[:, 0]

    def known(totals: Floats) -> Floats:
        found: Floats = (totals > above).sum(-1).astype(float)
        return found

    value, low, high = resampled_count(sums, known, draws=draws, seed=seed, confidence=confidence)
    return Estimate(value, max(0.0, low), high, len(skills), 0, len(sums))


Asked = tuple[Sequence[Collection[Skill]], Sequence[Hashable]]
"""[N] skills and [N] images of a method's questions."""


def counts_by_image(methods: Sequence[Asked]) -> Floats:
    """[images, methods, skills] how many questions about an image have a skill, over the images and skills of all."""
    place = {image: i for i, image in enumerate(dict.fromkeys(image for _, images in methods for image in images))}
    found = dict.fromkeys(skill for rows, _ in methods for each in rows for skill in each)
    names = {skill: i for i, skill in enumerate(found)}
    sums = np.zeros((len(place), len(methods), len(names)))
    for number, (rows, images) in enumerate(methods):
        for each, image in zip(rows, images, strict=True):
            for skill in set(each):
                sums[place[image], number, names[skill]] += 1
    return sums


def number_difference(
    a: Asked,
    b: Asked,
    *,
    others: Sequence[Asked] | None = None,
    above: int = ABOVE,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """How many more `known_skills` a method has than another, with an interval by resampling images, with the questions
    of both.

    Args:
        a, b: of each, cut to equal n.
        others: further methods: only skills that no other one of all has are counted (`exclusive`).
        above, draws, seed, confidence: as in `number`.

    Example:
        >>> number_difference(([["count"], ["color"]], ["x", "y"]), ([["count"]], ["x"]), above=0).value
        1.0
    """
    methods = [a, b, *(others or ())]
    sums = counts_by_image(methods)
    shape = sums.shape[1:]

    def difference(totals: Floats) -> Floats:
        known = totals.reshape(*totals.shape[:-1], *shape) > above
        if others is not None:
            known &= known.sum(-2, keepdims=True) == 1
        numbers = known.sum(-1).astype(float)
        found: Floats = numbers[..., 0] - numbers[..., 1]
        return found

    flat = sums.reshape(len(sums), math.prod(shape))
    value, low, high = resampled_count(flat, difference, draws=draws, seed=seed, confidence=confidence)
    return Estimate(value, low, high, sum(len(rows) for rows, _ in methods), 0, len(sums))


def coverage(skills: Sequence[Collection[Skill]]) -> float:
    """Mean number of skills per question (the paper's skill coverage); NaN for no question."""
    return sum(len(set(each)) for each in skills) / len(skills) if skills else math.nan


def mean_coverage(skills: Sequence[Collection[Skill]], *, cluster: Sequence[Hashable], seed: int = 0) -> Estimate:
    """`coverage` with an interval by resampling images; for two methods, `mean_difference` of their numbers of skills.

    Example:
        >>> mean_coverage([["count"], ["count", "color"]], cluster=["a", "b"]).value
        1.5
    """
    return mean([len(set(each)) for each in skills], cluster=cluster, seed=seed)


def combinations(skills: Sequence[Collection[Skill]]) -> int:
    """Different sets of skills among the questions (figure 5a); questions without a skill are left out."""
    return len({frozenset(each) for each in skills if each})


def shares_by_count(skills: Sequence[Collection[Skill]], *, most: int = 4) -> list[float]:
    """[most] share of the questions with 1, 2, ... skills, and with `most` or more (figure 5b); NaN for no question.

    Questions without a skill count in the whole, so the shares may sum to less than 1.
    """
    sizes = Counter(min(len(set(each)), most) for each in skills)
    return [sizes[size] / len(skills) if skills else math.nan for size in range(1, most + 1)]


def rates_by_count(skills: Sequence[Collection[Skill]], *, cluster: Sequence[Hashable], most: int = 4) -> list[Rate]:
    """[most] `shares_by_count` with intervals clustered by image."""
    sizes = [min(len(set(each)), most) for each in skills]
    return [rate([each == size for each in sizes], cluster=cluster) for size in range(1, most + 1)]


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
    only: Collection[Skill] | None = None,
) -> list[SkillRate]:
    """Failure rates by skill, the highest first; ties by name.

    p compares a skill's questions with all others: the difference of the two rates over its deviation, which counts
    images (a picture with rows of both is in both) and is at least that of single rows at the rate of all questions;
    Student's t with as many degrees of freedom as the smaller side has images, less one; and never below the exact
    test's (of signs, where images have both kinds of questions; Fisher's, where they have one). Where there is no
    other question, or only one image, it is 1.

    Args:
        skills: [N] of each valid question.
        wrong: [N] True, False or None (unscored).
        cluster: [N] images.
        above: skills with no more scored questions than this are left out.
        only: skills to test, such as those named on the other half of the images; all.

    Raises:
        ValueError: unequal lengths, another verdict.
        ModuleNotFoundError: SciPy is missing; names the extra.
    """
    kept, failed, image = scored("failure_rates", len(skills), wrong, cluster)
    stats = require("scipy.stats", extra="metrics")
    sets = [set(each) for each in skills]
    tested = [s for s, n in counts([sets[i] for i in kept]).items() if n > above and (only is None or s in only)]
    p = []
    for skill in tested:
        has = np.array([skill in sets[i] for i in kept], dtype=np.int64)
        p.append(tested_higher(cells(failed, has, image, 2), stats))
    rates = [
        SkillRate(skill, _rate(skill, sets, wrong, cluster), each, q)
        for skill, each, q in zip(tested, p, corrected(p, stats), strict=True)
    ]
    return sorted(rates, key=lambda each: (-each.rate.value, each.skill))


def _rate(skill: Skill, sets: Sequence[set[Skill]], wrong: Sequence[bool | None], cluster: Sequence[Hashable]) -> Rate:
    rows = [i for i, each in enumerate(sets) if skill in each]
    return rate([wrong[i] for i in rows], cluster=[cluster[i] for i in rows])


def tested_higher(split: Cells, stats: ModuleType) -> float:
    """One-sided p that the second of two cells has no higher rate than the first; at least that of the exact test."""
    if (split.n == 0).any() or split.df < 1:
        return 1.0
    pooled = np.full(2, split.failures.sum() / split.n.sum())
    contrast = np.array([-1.0, 1.0])
    variance = contrast @ split.covariance(pooled) @ contrast
    if not variance > 0:
        return 1.0
    return max(float(stats.t.sf(contrast @ split.rates / math.sqrt(variance), split.df)), split.exact_p())


def rated_on_the_other_half(
    skills: Sequence[Collection[Skill]],
    wrong: Sequence[bool | None],
    *,
    cluster: Sequence[Hashable],
    above: int = ABOVE,
) -> list[SkillRate]:
    """`failure_rates` on one half of the images, of the skills with more than `above` questions on the other.

    So the questions that named a skill are not those that say how hard it is. Skills without a scored question on the
    second half are left out.
    """
    named, rated = halves(cluster)
    known = known_skills([skills[i] for i in named], above=above)
    verdicts, images = [wrong[i] for i in rated], [cluster[i] for i in rated]
    return failure_rates([skills[i] for i in rated], verdicts, cluster=images, above=0, only=known)


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
