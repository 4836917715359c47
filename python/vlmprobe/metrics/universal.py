"""Which skills are hard for every model, and which for some: figures over questions asked of several models.

A skill is *hard for a model* where its questions fail more often than the model's other questions. The rule:

    universal  hard for every model: the largest of the models' one-sided p-values (an intersection-union test),
               corrected over skills, is below `level`
    specific   not universal; hard for a model (p corrected over skills and models); and the excess, rate with the skill
               less rate without it, differs between models (F test on the excesses, corrected over skills)
    undecided  the rest

That one model fails more than another is no specificity: each excess is against the model's own other questions.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from vlmprobe._util.optional import require
from vlmprobe.metrics._cells import Cells, Floats, Ints, cells, corrected, scored
from vlmprobe.metrics.rates import Rate, rate
from vlmprobe.metrics.skills import ABOVE, Skill, tested_higher

Model = str


@dataclass(frozen=True)
class SkillAcrossModels:
    """A skill's failures with several models."""

    skill: Skill
    rates: dict[Model, Rate]
    """Failure rate of each model on the skill's questions."""
    kind: str
    """`universal`, `specific` or `undecided`."""
    hard_for: tuple[Model, ...]
    """Models whose q, corrected over skills and models, is below the level."""
    q_universal: float
    """Of a model for which it is not hard."""
    q_specific: float
    """Of excesses that are the same for all models."""


def across_models(
    model: Sequence[Model],
    skills: Sequence[Collection[Skill]],
    wrong: Sequence[bool | None],
    *,
    cluster: Sequence[Hashable],
    above: int = ABOVE,
    level: float = 0.05,
) -> list[SkillAcrossModels]:
    """Each skill with more than `above` scored questions of every model, by name.

    The tests take images for what is drawn: `vlmprobe.metrics._cells`. Their degrees of freedom are those of the cell
    with the fewest images, less one; and no p is below that of an exact test (`failure_rates`), or, of the excesses,
    below the least that one can give.

    Args:
        model: [N] which model was asked; at least two.
        skills: [N] of each valid question.
        wrong: [N] True, False or None (unscored).
        cluster: [N] images, under the same names for all models.
        above: least number of questions, exclusive.
        level: of the q-values, in (0, 1).

    Raises:
        ValueError: unequal lengths, one model, another verdict.
        ModuleNotFoundError: SciPy is missing; names the extra.

    Source: intersection-union tests, Berger 1982; Benjamini and Hochberg 1995.
    """
    op = "across_models"
    kept, failed, image = scored(op, len(skills), wrong, cluster, model=model)
    models = list(dict.fromkeys(model))
    if len(models) < 2:
        raise ValueError(f"[metrics::{op}] model: expected at least 2 models, got {len(models)}")
    stats = require("scipy.stats", extra="metrics")
    asked = np.array([models.index(model[i]) for i in kept], dtype=np.int64)
    sets = [frozenset(skills[i]) for i in kept]
    names, single, joint = [], [], []
    for skill in sorted(set().union(*sets)):
        has = np.array([skill in each for each in sets])
        split = cells(failed, 2 * asked + has, image, 2 * len(models))
        if (split.n[1::2] > above).all() and (split.n[::2] > 0).all():
            names.append(skill)
            single.append([_hard(failed, asked, has, image, each, stats) for each in range(len(models))])
            joint.append(_differ(split, stats))
    q_single = np.reshape(corrected(np.ravel(single).tolist(), stats), (len(names), len(models)))
    q_universal, q_specific = corrected([max(p) for p in single], stats), corrected(joint, stats)

    found = []
    for i, skill in enumerate(names):
        hard = tuple(name for name, q in zip(models, q_single[i], strict=True) if q < level)
        kind = "universal" if q_universal[i] < level else "specific" if hard and q_specific[i] < level else "undecided"
        rates = {name: _rate(name, skill, model, skills, wrong, cluster) for name in models}
        found.append(SkillAcrossModels(skill, rates, kind, hard, q_universal[i], q_specific[i]))
    return found


def _rate(
    name: Model, skill: Skill, model: Sequence[Model], skills: Sequence[Collection[Skill]],
    wrong: Sequence[bool | None], cluster: Sequence[Hashable],
) -> Rate:  # fmt: skip
    rows = [i for i, each in enumerate(skills) if model[i] == name and skill in each]
    return rate([wrong[i] for i in rows], cluster=[cluster[i] for i in rows])


def _hard(failed: Ints, asked: Ints, has: Ints, image: Ints, model: int, stats: ModuleType) -> float:
    own = asked == model
    return tested_higher(cells(failed[own], has[own].astype(np.int64), image[own], 2), stats)


def _differ(split: Cells, stats: ModuleType) -> float:
    """p of equal excesses; the cells are (model 0 without, model 0 with, model 1 without, ...)."""
    count = len(split.n) // 2
    rates = split.rates
    without, excess = rates[::2], rates[1::2] - rates[::2]
    common = np.average(excess, weights=split.n[1::2])
    null = rates.copy()
    null[1::2] = np.clip(without + common, 0.5 / split.n[1::2], 1 - 0.5 / split.n[1::2])
    to_excess = np.kron(np.eye(count), [-1.0, 1.0])  # [models, cells]
    contrasts = np.hstack([-np.ones((count - 1, 1)), np.eye(count - 1)]) @ to_excess  # each excess less the first
    spread: Floats = contrasts @ split.covariance(null) @ contrasts.T
    difference = contrasts @ rates
    if np.linalg.matrix_rank(spread) < count - 1:
        return 1.0
    statistic = difference @ np.linalg.solve(spread, difference) / (count - 1)
    df = split.df - (count - 2)  # Hotelling's: the covariance is estimated too
    p = float(stats.f.sf(statistic * df / split.df, count - 1, df)) if df > 0 else 1.0
    return max(p, split.least_p(count))
