"""Which skills come early in a run, which late, and which all the time (figure 6)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from types import ModuleType

import numpy as np

from vlmprobe._util.checks import check_count
from vlmprobe._util.optional import require
from vlmprobe.metrics._cells import Floats, corrected
from vlmprobe.metrics.estimate import check_confidence
from vlmprobe.metrics.skills import ABOVE, Skill

MOST_TRIED = 7  # steps, in all orders
WITHIN = 2.0  # a persistent skill's density changes by less than this factor


@dataclass(frozen=True)
class SkillTrend:
    """How much of the questions a skill has, early and late in a run."""

    skill: Skill
    n: int
    """Questions with it."""
    first: float
    """Its density in the first half of the steps: share of their questions that have it."""
    second: float
    """Its density in the second half."""
    ratio: float
    """second / first, with half a question added to each."""
    low: float
    """Of the ratio's interval."""
    high: float
    p: float
    """Of steps in any order, two-sided; of up to 7 steps all orders are tried."""
    q: float
    """The same, corrected for all skills (Benjamini-Hochberg)."""
    kind: str
    """`early`, `late`, `persistent` or `undecided`."""


def skill_trends(
    skills: Sequence[Collection[Skill]],
    step: Sequence[int],
    *,
    above: int = ABOVE,
    draws: int = 10_000,
    seed: int = 0,
    level: float = 0.05,
    confidence: float = 0.95,
) -> list[SkillTrend]:
    """Which skills come early, late or all the time (figure 6), by name.

        statistic   sum_t x_t (k_t - D n_t)      k_t of n_t questions of step t have the skill, D their share in all,
                                                 x_t the place of the step, from -1 to 1
        null        the steps in any order: what one step asks stays together. All orders are tried where they are no
                    more than the draws
        early, late q < level, and the statistic is below or above 0
        persistent  neither, and the interval of second / first is within [1/2, 2]
        undecided   neither, and too few questions to say so

    Args:
        skills: [N] of each valid question.
        step: [N] the step of training of each; any order, at least two different ones.
        above: skills with no more questions than this are left out.
        draws, seed: of the permutations.
        level: of the q-values, in (0, 1).
        confidence: of the ratios' intervals, in (0, 1).

    Raises:
        ValueError: unequal lengths, one step, a number out of range.
        ModuleNotFoundError: SciPy is missing; names the extra.

    Source: permutation of blocks; p that is never 0, Phipson and Smyth 2010.
    """
    op = "metrics::skill_trends"
    if len(step) != len(skills):
        raise ValueError(f"[{op}] step: expected {len(skills)} rows, got {len(step)}")
    check_count(op, "draws", draws)
    check_confidence(op, confidence)
    steps = sorted(set(step))
    if len(steps) < 2:
        raise ValueError(f"[{op}] step: expected at least 2 steps, got {len(steps)}")
    stats = require("scipy.stats", extra="metrics")
    total = Counter(skill for each in skills for skill in set(each))
    names = sorted(skill for skill, count in total.items() if count > above)
    questions, having = _by_step(skills, step, steps, names)

    p, direction = _permuted(questions, having, draws, seed)
    q = corrected(p, stats)
    found = []
    for i, name in enumerate(names):
        first, second, ratio, low, high = _halves(questions, having[:, i], confidence, stats)
        kind = "undecided"
        if q[i] < level:
            kind = "early" if direction[i] < 0 else "late"
        elif low > 1 / WITHIN and high < WITHIN:
            kind = "persistent"
        found.append(SkillTrend(name, total[name], first, second, ratio, low, high, p[i], q[i], kind))
    return found


def densities(
    skills: Sequence[Collection[Skill]], step: Sequence[int], *, windows: int = 10
) -> dict[Skill, list[float]]:
    """[windows] share of the questions of each window of steps that have a skill; NaN for a window without questions.

    The windows have equal numbers of steps, but for rounding.
    """
    if len(step) != len(skills):
        raise ValueError(f"[metrics::densities] step: expected {len(skills)} rows, got {len(step)}")
    check_count("metrics::densities", "windows", windows)
    steps, names = sorted(set(step)), sorted({skill for each in skills for skill in each})
    questions, having = _by_step(skills, step, steps, names)
    cuts = [round(i * len(steps) / windows) for i in range(windows + 1)]
    parts = [(questions[a:b].sum(), having[a:b].sum(0)) for a, b in pairwise(cuts)]
    return {
        name: [float(had[i] / asked) if asked else math.nan for asked, had in parts] for i, name in enumerate(names)
    }


def _by_step(
    skills: Sequence[Collection[Skill]], step: Sequence[int], steps: list[int], names: list[Skill]
) -> tuple[Floats, Floats]:
    """[T] questions of each step, and [T, S] of them with each skill."""
    row, column = {each: i for i, each in enumerate(steps)}, {name: i for i, name in enumerate(names)}
    questions, having = np.zeros(len(steps)), np.zeros((len(steps), len(names)))
    for each, when in zip(skills, step, strict=True):
        questions[row[when]] += 1
        for skill in set(each) & column.keys():
            having[row[when], column[skill]] += 1
    return questions, having


def _permuted(questions: Floats, having: Floats, draws: int, seed: int) -> tuple[list[float], Floats]:
    """p of each skill, and its statistic."""
    excess = having - np.outer(questions, having.sum(0) / questions.sum())
    place = np.linspace(-1, 1, len(questions))
    statistic = place @ excess
    reached = np.abs(statistic) - 1e-12 * questions.sum()  # the same order of steps again counts
    if len(place) <= MOST_TRIED and math.factorial(len(place)) <= draws:
        orders = np.array(list(permutations(place)))
        return (np.abs(orders @ excess) >= reached).mean(0).tolist(), statistic
    generator, extreme, chunk = np.random.default_rng(seed), np.zeros(having.shape[1]), 1000
    for start in range(0, draws, chunk):
        shuffled = generator.permuted(np.tile(place, (min(chunk, draws - start), 1)), axis=1)
        extreme += (np.abs(shuffled @ excess) >= reached).sum(0)
    return ((extreme + 1) / (draws + 1)).tolist(), statistic


def _halves(questions: Floats, having: Floats, confidence: float, stats: ModuleType) -> tuple[float, ...]:
    """Densities of the two halves, their ratio and its interval, on the log scale and with steps as what is drawn."""
    df = len(questions) - 2
    cut = len(questions) // 2
    logs, variance, shares = [], 0.0, []
    for n, k in ((questions[:cut], having[:cut]), (questions[cut:], having[cut:])):
        share, smooth = k.sum() / n.sum(), (k.sum() + 0.5) / (n.sum() + 0.5)
        residual, steps = k - share * n, len(n)
        clustered = steps / max(steps - 1, 1) * (residual**2).sum() / (k.sum() + 0.5) ** 2
        without = max(1 - smooth, 0.5 / (n.sum() + 1))  # what all questions had, half a question more may not have
        variance += max(clustered, without / (k.sum() + 0.5))
        logs.append(math.log(smooth))
        shares.append(float(share))
    middle = logs[1] - logs[0]
    if df < 1:
        return *shares, math.exp(middle), 0.0, math.inf
    reach = float(stats.t.ppf((1 + confidence) / 2, df)) * math.sqrt(variance)
    return *shares, math.exp(middle), math.exp(middle - reach), math.exp(middle + reach)
