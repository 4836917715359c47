"""The numbers of one arm and one seed, read from its ledger; and of several seeds together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from vlmprobe import metrics
from vlmprobe.evaluation import Tally, is_correct, rates
from vlmprobe.ledger import Ledger
from vlmprobe.methods import evaluation, pool, pool_runs
from vlmprobe.metrics import Estimate
from vlmprobe.models.protocols import Embedder
from vlmprobe.studies.arms import EVALUATOR, folder_of
from vlmprobe.studies.plan import Arm, Scale

UNKNOWN = Estimate(math.nan, -math.inf, math.inf, 0, 0, 0)


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
    def tally(self) -> Tally:
        """The evaluation pass as the evaluator judged it: what the tables are made of."""
        return self.judged(EVALUATOR)

    def judged(self, judging: str | None) -> Tally:
        """The evaluation pass as a judging sees it; None: the verifier of the run."""
        with self.ledger() as ledger:
            return evaluation(ledger, self.arm.method, judging=judging)

    @cached_property
    def pool(self) -> Tally:
        """What was asked of the pool, as `Scale.judge_pool` says: figures of training."""
        with self.ledger() as ledger:
            return pool(ledger, self.arm.method, judging=EVALUATOR if self.scale.judge_pool else None)

    @cached_property
    def pool_steps(self) -> list[int]:
        """[questions] the step of each question of the pool."""
        steps: list[int] = []
        with self.ledger() as ledger:
            for run in pool_runs(ledger, self.arm.method):
                for phase, number in ledger.recorded_steps(run):
                    step = ledger.step(run, phase, number)
                    assert step is not None, "it was listed"
                    steps += [number] * len(step.questions)
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
    def named(self) -> bool:
        """Whether somebody named the skills of these questions."""
        return any("skills" in question.annotations for _, question in self.valid)

    @cached_property
    def numbers(self) -> dict[str, Estimate]:
        """qvr, fdr, sd, ld (normalised), ld_nats, skills, coverage, combinations, and the world's own: programs that
        failed, faults detected."""
        qvr, fdr = (of_rate(each) for each in rates(self.tally))
        texts = [question.text for _, question in self.valid]
        failures = [question for _, question in self.tally.failures()]
        return {
            "qvr": qvr,
            "fdr": fdr,
            "sd": self.at_equal_n(metrics.vendi, self.embedder(texts) if texts else []),
            "ld": self.at_equal_n(metrics.prefix_entropy_normalized, texts),
            "ld_nats": self.at_equal_n(metrics.prefix_entropy, texts),
            **(self._of_skills() if self.named else dict.fromkeys(("skills", "coverage", "combinations"), UNKNOWN)),
            "programs": counted({question.annotations.get("program") for question in failures} - {None}, self.tally),
            "faults": counted({question.annotations.get("triggered") for question in failures} - {None}, self.tally),
        }  # fmt: skip

    def _of_skills(self) -> dict[str, Estimate]:
        return {
            "skills": self._number_of_skills(),
            "coverage": metrics.skills.mean_coverage(self.skills, cluster=self.images),
            "combinations": self.at_equal_n(lambda rows: float(metrics.skills.combinations(rows)), self.skills),
        }

    def at_equal_n(self, measure: Callable[[Any], float], rows: Sequence[Any] | torch.Tensor) -> Estimate:
        """A measure of `scale.equal_n` of the valid questions, or of all where there are fewer; see n."""
        n = min(self.scale.equal_n, len(rows))
        if not n:
            return UNKNOWN
        found = metrics.at_equal_n(measure, rows, n, cluster=self.images)
        return replace(found, low=max(found.low, 0.0))  # counts, entropies and Vendi are never below 0

    def _number_of_skills(self) -> Estimate:
        rows, images = self.cut
        return metrics.skills.number(rows, cluster=images, above=self.scale.above)


def wrong_of(tally: Tally) -> list[bool | None]:
    """[valid] whether it was answered wrongly, or None."""
    return [None if (right := is_correct(question)) is None else not right for _, question in tally.valid()]


def skills_of(tally: Tally) -> list[list[str]]:
    """[valid] skills."""
    return [list(question.annotations.get("skills") or ()) for _, question in tally.valid()]


def counted(found: set[Any], tally: Tally) -> Estimate:
    """A number of things that were found, without an interval: it grows with the number of questions."""
    valid = tally.valid()
    return Estimate(float(len(found)), math.nan, math.nan, len(valid), 0, len({image for image, _ in valid}))


def of_rate(rate: metrics.Rate) -> Estimate:
    """A rate as an estimate."""
    return Estimate(rate.value, rate.low, rate.high, rate.n, rate.n_unscored, rate.clusters)


def over_seeds(each: Sequence[Estimate]) -> Estimate:
    """Of several seeds: the mean, and an interval by Student's t on the seeds; of one seed, that one's own."""
    if len(each) == 1:
        return each[0]
    value, reach = mean_and_reach([one.value for one in each])
    n, unscored = sum(one.n for one in each), sum(one.n_unscored for one in each)
    return Estimate(value, value - reach, value + reach, n, unscored, max(one.clusters for one in each))


def mean_and_reach(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Mean, and half the width of its interval by Student's t; at least two values."""
    t = metrics.t_quantile((1 + confidence) / 2, df=len(values) - 1)
    return fmean(values), t * stdev(values) / math.sqrt(len(values))
