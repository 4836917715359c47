"""The numbers of one arm and one seed, read from its ledger; and of several seeds together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from statistics import NormalDist, fmean, stdev
from typing import Any

import torch

from vlmprobe import metrics
from vlmprobe.ledger import Ledger, RecordedQuestions
from vlmprobe.ledger.questions import is_correct
from vlmprobe.loop.tally import Tally
from vlmprobe.methods import evaluation, pool, pool_runs
from vlmprobe.metrics import Estimate
from vlmprobe.metrics.estimate import TIE
from vlmprobe.models.protocols import Embedder
from vlmprobe.studies.arms import EVALUATOR, folder_of
from vlmprobe.studies.plan import Arm, Scale
from vlmprobe.studies.values import Bounded

Interval = tuple[float, float, float]
"""Value, low, high."""
UNKNOWN = Estimate(math.nan, -math.inf, math.inf, 0, 0, 0)
OF_SKILLS = ("skills", "skills_once", "coverage", "combinations")
SHARES = ("qvr", "fdr", "ld")
"""What is at most 1."""
GROWING = ("sd", "ld", "ld_nats", "skills", "skills_once", "combinations", "programs", "faults")
"""What grows with n, so that n of several seeds is the least and not the sum."""


@dataclass
class Outcome:
    """An arm's questions with one seed.

    Args:
        arm: which.
        folder: of the seed.
        scale: for equal n and the threshold of skills.
        embedder: for SD.
    """

    arm: Arm
    folder: Path
    scale: Scale
    embedder: Embedder = field(repr=False)

    @cached_property
    def tally(self) -> RecordedQuestions:
        """The evaluation pass as the evaluator judged it: what the tables are made of."""
        return self.judged(EVALUATOR)

    def judged(self, judging: str | None) -> RecordedQuestions:
        """The evaluation pass as a judging sees it; None: the verifier of the run."""
        with self.ledger() as ledger:
            return evaluation(ledger, self.arm.method, judging=judging)

    @cached_property
    def pool(self) -> RecordedQuestions:
        """What was asked of the pool, as `Scale.judge_pool` says: figures of training."""
        with self.ledger() as ledger:
            return pool(ledger, self.arm.method, judging=EVALUATOR if self.scale.judge_pool else None)

    @cached_property
    def pool_steps(self) -> list[int]:
        """[questions] the step of each question of the pool."""
        steps: list[int] = []
        with self.ledger() as ledger:
            for run in pool_runs(ledger, self.arm.method):
                for part in ledger.each_judged(run):
                    steps += part.step
        return steps

    def ledger(self) -> Ledger:
        """Its ledger, to read."""
        return Ledger(self.folder / folder_of(self.arm) / "ledger.sqlite", read_only=True)

    @cached_property
    def valid(self) -> list[tuple[int, Any]]:
        """(image, question) of the valid questions."""
        return self.tally.valid()

    @property
    def images(self) -> list[int]:
        """[valid] of each."""
        return [image for image, _ in self.valid]

    @property
    def wrong(self) -> list[bool | None]:
        """[valid] whether it was answered wrongly."""
        return wrong_of(self.tally)

    @cached_property
    def skills(self) -> list[list[str]]:
        """[valid] of each."""
        return skills_of(self.tally)

    @cached_property
    def cut(self) -> tuple[list[list[str]], list[int]]:
        """Skills and images of the valid questions that are left at equal n."""
        kept = metrics.equal_rows(len(self.skills), min(self.scale.equal_n, len(self.skills))) if self.skills else []
        return [self.skills[i] for i in kept], [self.images[i] for i in kept]

    @cached_property
    def once(self) -> tuple[list[list[str]], list[int]]:
        """Skills and images of the valid questions of the first sequence about each picture: k questions a picture."""
        first: dict[int, list[Any]] = {}
        for (image, _), rows in groupby(self.tally.rows, key=lambda row: (row[0], row[1].sequence)):
            first.setdefault(image, [question for _, question in rows])
        tally = RecordedQuestions([(image, question) for image, questions in first.items() for question in questions])
        return skills_of(tally), [image for image, _ in tally.valid()]

    @cached_property
    def named(self) -> bool:
        """Whether somebody named the skills of these questions."""
        return any("skills" in question.annotations for _, question in self.valid)

    @cached_property
    def numbers(self) -> dict[str, Estimate]:
        """qvr, fdr, sd, ld (normalised), ld_nats, skills, skills_once (of one sequence a picture), coverage,
        combinations, and the world's own: programs that failed, faults detected (so few that the jackknife's intervals
        are too narrow: they have none)."""
        qvr, fdr = (of_rate(each) for each in Tally.of(self.tally.judged()).rates())
        texts = [question.text for _, question in self.valid]
        return {
            "qvr": qvr,
            "fdr": fdr,
            "sd": self.at_equal_n(metrics.vendi, self.embedder(texts) if texts else [], least=1.0),
            "ld": self.at_equal_n(metrics.prefix_entropy_normalized, texts, most=lambda n: 1.0),
            "ld_nats": self.at_equal_n(metrics.prefix_entropy, texts, most=math.log),
            **(self._of_skills() if self.named else dict.fromkeys(OF_SKILLS, UNKNOWN)),
            "programs": self._different("program"),
            "faults": replace(self._different("triggered"), low=math.nan, high=math.nan),
        }

    def _of_skills(self) -> dict[str, Estimate]:
        return {
            "skills": self._number_of_skills(*self.cut),
            "skills_once": self._number_of_skills(*self.once),
            "coverage": metrics.skills.mean_coverage(self.skills, cluster=self.images),
            "combinations": self.at_equal_n(lambda rows: float(metrics.skills.combinations(rows)), self.skills),
        }

    def at_equal_n(
        self,
        measure: Callable[[Any], float],
        rows: Sequence[Any] | torch.Tensor,
        images: Sequence[int] | None = None,
        *,
        least: float = 0.0,
        most: Callable[[int], float] = float,
    ) -> Estimate:
        """A measure of `scale.equal_n` of the valid questions (or of rows with other images), or of all where there are
        fewer; see n. It is at least `least`, and of n questions at most `most`: as many as there are."""
        n = min(self.scale.equal_n, len(rows))
        if not n:
            return UNKNOWN
        cluster = self.images if images is None else images
        return metrics.at_equal_n(measure, rows, n, cluster=cluster, bounds=(least, most(n)))

    def _number_of_skills(self, rows: list[list[str]], images: list[int]) -> Estimate:
        return metrics.skills.number(rows, cluster=images, above=self.scale.above)

    def _different(self, annotation: str) -> Estimate:
        """How many different values an annotation has among the failures."""
        scored = [(row, wrong) for row, wrong in zip(self.valid, self.wrong, strict=True) if wrong is not None]
        values = [question.annotations.get(annotation) if wrong else None for (_, question), wrong in scored]
        images = [image for (image, _), _ in scored]
        return self.at_equal_n(lambda rows: float(len(set(rows) - {None})), values, images)


def wrong_of(tally: RecordedQuestions) -> list[bool | None]:
    """[valid] whether it was answered wrongly, or None."""
    return [None if (right := is_correct(question)) is None else not right for _, question in tally.valid()]


def skills_of(tally: RecordedQuestions) -> list[list[str]]:
    """[valid] skills."""
    return [list(question.annotations.get("skills") or ()) for _, question in tally.valid()]


def of_rate(rate: metrics.Rate) -> Estimate:
    """A rate as an estimate."""
    return Estimate(rate.value, rate.low, rate.high, rate.n, rate.n_unscored, rate.clusters)


def bounds(found: Bounded) -> Interval:
    """Of an estimate, a rate or a difference."""
    return found.value, found.low, found.high


def over_seeds(each: Sequence[Estimate], *, most: float = math.inf, growing: bool = False) -> Estimate:
    """Of several seeds: the mean, with an interval for other seeds and other pictures (`combined`) in [0, most]; of one
    seed, that one's own.

    Args:
        each: of each seed.
        most: that the number can be.
        growing: with n: the least n is given, and not their sum.
    """
    if len(each) == 1:
        return each[0]
    value, low, high = combined([bounds(one) for one in each])
    n = (min if growing else sum)(one.n for one in each)
    unscored, clusters = sum(one.n_unscored for one in each), max(one.clusters for one in each)
    return Estimate(value, max(low, 0.0), min(high, most), n, unscored, clusters)


def combined(each: Sequence[Interval], *, confidence: float = 0.95) -> Interval:
    """Mean over seeds, whose questioners were trained and sampled apart and evaluated on the same pictures.

        reach^2 = (t s / sqrt(S))^2 + (mean of the seeds' own reaches)^2

    The first part is for other seeds, by Student's t; the second for other pictures, as if the pictures shifted every
    seed alike. What changes a single picture in a single seed is in both, so the interval is rather too wide.

    Args:
        each: [S] of each seed, with an interval of 95 % over pictures; where an end is NaN, the pictures have no part.
        confidence: of the result, in (0, 1).

    Returns:
        NaN where one of the values is not known; without an interval there, and where neither part is, or neither has
        any width: seeds that agree say nothing of other pictures.
    """
    if any(math.isnan(one[0]) for one in each):
        return math.nan, -math.inf, math.inf
    value = fmean(one[0] for one in each)
    upper = (1 + confidence) / 2
    normal = NormalDist()
    scale = normal.inv_cdf(upper) / normal.inv_cdf(0.975)
    reach = 0.0
    if len(each) > 1:
        reach = metrics.t_quantile(upper, df=len(each) - 1) * stdev(one[0] for one in each) / math.sqrt(len(each))
    down = up = 0.0
    if not any(math.isnan(end) for one in each for end in one):
        down, up = (scale * fmean(abs(one[end] - one[0]) for one in each) for end in (1, 2))
    if max(reach, down, up) <= TIE * max(1.0, abs(value)):
        return value, -math.inf, math.inf
    return value, value - math.hypot(reach, down), value + math.hypot(reach, up)
