"""Every estimate of `vlmprobe.metrics` with no image, one, two and five, all equal or all unlike between two methods:
an interval is never a point, it holds its value, it is everything where nothing is known; p is not below the exact
test's."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats

from vlmprobe import metrics
from vlmprobe.metrics import judged, skills
from vlmprobe.metrics.judged import INVALID, RIGHT, WRONG
from vlmprobe.run.canaries import less_likely
from vlmprobe.studies.comparisons import Above
from vlmprobe.studies.numbers import combined, of_rate, over_seeds

SHARE, NUMBER, ANY = (0, 1), (0, math.inf), (-math.inf, math.inf)
CALIBRATION = [(t, j) for t in range(3) for j in range(3) for _ in range(8 if t == j else 1)]


@dataclass(frozen=True)
class Case:
    """Two methods, asked `per` questions about each of the same images."""

    images: int
    a: bool = False
    """Whether the first method's answers are wrong."""
    b: bool = False
    per: int = 1

    @property
    def image(self):
        return [i for i in range(self.images) for _ in range(self.per)]

    @property
    def wrong(self):
        return [self.a] * len(self.image), [self.b] * len(self.image)

    @property
    def all_wrong(self):
        """Of both methods' questions, one after the other."""
        return [*self.wrong[0], *self.wrong[1]]

    @property
    def skills(self):
        """Of all of them."""
        return [["hard"]] * len(self.image) + [["other"]] * len(self.image)

    def exact(self, sides=2):
        """p of the sign test over the images: a above b, or another."""
        if self.images < 2 or (sides == 1 and self.a <= self.b) or self.a == self.b:
            return 1.0
        return float(
            stats.binomtest(self.images, self.images, alternative="greater" if sides == 1 else "two-sided").pvalue
        )


def rated(found, bounds=SHARE):
    return found.value, found.low, found.high, bounds


def one(call, bounds):
    """An estimate of the first method."""
    return lambda case: [rated(call(case.wrong[0], case.image), bounds)]


def compared(call, bounds):
    """A difference of the two, with its p."""

    def found(case):
        difference = call(*case.wrong, cluster_a=case.image, cluster_b=case.image)
        assert difference.p >= case.exact() and (difference.p < 0.05) == (difference.low > 0 or difference.high < 0)
        return [rated(difference, bounds)]

    return found


def rises(case):
    found = metrics.rise(case.wrong[1] + case.wrong[0], cluster=case.image * 2)
    assert found.p >= case.exact()
    return [rated(found, (-1, 1))]


def agreement(case):
    found = metrics.annotator_agreement(list(zip(*case.wrong, strict=True)), cluster=case.image)
    kappa = [rated(found.kappa, (-1, 1))] if found.kappa else []
    return [rated(found.share), rated(found.alpha, (-1, 1)), *kappa]


def diversity(case):
    n, texts = len(case.image), [f"is it {wrong}?" for wrong in case.wrong[0]]
    rows = torch.eye(3)[[int(wrong) for wrong in case.wrong[0]]]
    return [
        rated(metrics.vendi_at(rows, n, cluster=case.image), (1, min(n, 3))),
        rated(metrics.prefix_entropy_at(texts, n, cluster=case.image), (0, math.log(max(n, 1)))),
        rated(metrics.prefix_entropy_at(texts, n, cluster=case.image, normalized=True)),
    ]


def without_errors(call):
    """Rates corrected for a judge that labels agree with: of wrong answers, or of right and wrong ones."""

    def found(case):
        states = [WRONG if wrong else RIGHT for wrong in case.wrong[0]]
        rates = call(states, case)
        return [rated(rates.qvr), rated(rates.fdr)]

    return found


def failing(case):
    found = skills.failure_rates(case.skills, case.all_wrong, cluster=case.image * 2, above=0)
    for each in found:
        flipped = Case(case.images, case.b, case.a)
        assert each.p >= (case if each.skill == "hard" else flipped).exact(sides=1)
    return [rated(each.rate) for each in found]


def in_two_models(case):
    wrong = case.all_wrong * 2
    names = ["x"] * (2 * len(case.image)) + ["y"] * (2 * len(case.image))
    found = metrics.across_models(names, case.skills * 2, wrong, cluster=case.image * 4, above=0)
    least = Case(case.images, True, False).exact(sides=1)  # one of the two skills may be hard
    assert all(each.q_universal >= least and each.q_specific >= 2.0 ** (1 - case.images) for each in found)
    return [rated(rate) for each in found for rate in each.rates.values()]


def paired_skills(case):
    sets = [each for each in ([], ["a"], ["b"], ["a", "b"]) for _ in range(5) for _ in case.image]
    wrong = [x for kind in range(4) for _ in range(5) for x in case.wrong[kind < 3]]
    found = metrics.interactions(sets, wrong, cluster=case.image * 20)
    assert all(each.p >= 2.0 ** (1 - case.images) for each in found.pairs)
    return [rated(each, ANY) for each in found.pairs]


def trends(case):
    """Steps are what is drawn: in one half all questions have the skill, in the other those of b."""
    steps = [2 * i + half for half in (0, 1) for i in case.image]
    sets = [["s"] if wrong or i % 2 else [] for i, wrong in enumerate(case.all_wrong)]
    found = metrics.skill_trends([[*each, "always"] for each in sets], steps, above=0, draws=500)
    assert all(each.p >= 2 / math.factorial(len(set(steps))) for each in found)
    return [(each.ratio, each.low, each.high, NUMBER) for each in found]


def more_skills(case):
    sets = case.skills[: len(case.image)], case.skills[len(case.image) :]
    apart = [
        skills.number_difference((sets[0], case.image), (sets[1], case.image), above=0, others=o) for o in (None, [])
    ]
    return [rated(each, ANY) for each in apart]


ESTIMATES = {
    "across_models": in_two_models,
    "annotator_agreement": agreement,
    "at_equal_n": one(lambda a, image: metrics.at_equal_n(metrics.effective_number, a, len(a), cluster=image), ANY),
    "corrected_by_calibration": without_errors(
        lambda states, case: metrics.corrected_by_calibration(states, CALIBRATION, cluster=case.image)
    ),
    "corrected_by_labels": without_errors(
        lambda states, case: metrics.corrected_by_labels(states, states, cluster=case.image)
    ),
    "cumulative_rates": lambda case: [
        rated(each.rate) for each in metrics.cumulative_rates(case.wrong[0], cluster=case.image, points=3)[-1:]
    ],
    "from_sample": without_errors(
        lambda states, case: metrics.from_sample(states, states, [1.0] * len(states), cluster=case.image)
    ),
    "interactions": paired_skills,
    "mean": one(lambda a, image: metrics.mean(a, cluster=image), ANY),
    "mean_difference": compared(metrics.mean_difference, ANY),
    "paired_difference": compared(metrics.paired_difference, (-1, 1)),
    "prefix_entropy_at": diversity,
    "rate": one(lambda a, image: metrics.rate(a, cluster=image), SHARE),
    "rise": rises,
    "skill_trends": trends,
    "vendi_at": diversity,
    "skills.failure_rates": failing,
    "skills.mean_coverage": one(lambda a, image: skills.mean_coverage([["s"]] * len(a), cluster=image), ANY),
    "skills.number": one(lambda a, image: skills.number([["s"]] * len(a), cluster=image, above=0), NUMBER),
    "skills.number_difference": more_skills,
    "skills.rated_on_the_other_half": lambda case: [
        rated(each.rate)
        for each in skills.rated_on_the_other_half(
            case.skills, case.all_wrong, cluster=case.image * 2, above=0
        )
    ],
    "skills.rates_by_count": lambda case: [
        rated(each) for each in skills.rates_by_count([["s"]] * len(case.image), cluster=case.image)
    ],
}  # fmt: skip
NUMBERS_ALONE = {  # what has no interval, or is no number
    "cohen_kappa", "krippendorff_alpha", "percent_agreement", "densities", "duplicates", "effective_number",
    "effective_number_counted",
    "entropy", "equal_rows", "prefix_entropy", "prefix_entropy_normalized", "t_quantile", "vendi",
    "VendiAccumulator", "skills", "Agreement", "CumulativeRate", "Difference", "Estimate", "Interaction",
    "Interactions", "Rate", "SkillTrend", "SkillAcrossModels", "skills.SkillRate", "skills.combinations",
    "skills.counts", "skills.counts_by_image", "skills.coverage", "skills.exclusive", "skills.halves",
    "skills.known_skills", "skills.shared", "skills.shares_by_count", "skills.tested_higher",
    "judged.Corrected", "judged.Rates", "judged.state",
}  # fmt: skip


def test_the_table_has_every_estimate():
    public = set(metrics.__all__)
    for module in (skills, judged):
        own = module.__name__.rsplit(".", 1)[1]
        public |= {
            f"{own}.{name}"
            for name, each in vars(module).items()
            if inspect.getmodule(each) is module and not name.startswith("_") and name not in metrics.__all__
        }
    assert set(ESTIMATES) | NUMBERS_ALONE == public and not set(ESTIMATES) & NUMBERS_ALONE


SEEN = [Case(n, a, b, per) for n in (1, 2, 5) for a in (False, True) for b in (False, True) for per in (1, 3)]


@pytest.mark.parametrize("case", SEEN, ids=str)
@pytest.mark.parametrize("name", ESTIMATES)
def test_an_interval_of_few_images_is_no_point_and_holds_its_value(name, case):
    try:
        found = ESTIMATES[name](case)
    except ValueError as error:
        assert case.images == 1 and str(error).startswith("[metrics::")
        return
    for value, low, high, bounds in found:
        if math.isnan(value) or case.images == 1:
            assert (low, high) == bounds
        else:
            assert bounds[0] <= low <= value <= high <= bounds[1] and high > low


@pytest.mark.parametrize("name", ESTIMATES)
def test_of_no_rows_nothing_is_known(name):
    try:
        found = ESTIMATES[name](Case(0))
    except ValueError as error:
        assert str(error).startswith("[metrics::")
        return
    for value, low, high, bounds in found:
        assert (low, high) == bounds and (math.isnan(value) or value == 0)


@pytest.mark.parametrize("share", [0, 1, 0.5])
def test_agreement_of_few_images_is_as_open_as_a_rate(share):
    """Eight images of two items; on all of them a share is agreed on."""
    items = [[i % 2, i % 2 if half < share * 2 else 1 - i % 2] for i in range(8) for half in (0, 1)]
    found = metrics.annotator_agreement(items, cluster=[i for i in range(8) for _ in (0, 1)])
    agreed = metrics.rate([a == b for a, b in items], cluster=[i for i in range(8) for _ in (0, 1)])
    assert found.share.value == share
    if share != 0.5:  # Wilson's bounds, with t of 7 degrees of freedom
        assert (found.share.low, found.share.high) == pytest.approx((agreed.low, agreed.high))
    for each in (found.share, found.alpha, found.kappa):
        assert each.low <= each.value <= each.high and each.high - each.low > 0.2


def test_a_rate_of_valid_questions_counts_images_that_have_some():
    states = [INVALID] * 20 + [WRONG]
    image = [*range(20), 20]
    rates = [
        metrics.corrected_by_labels(states, states, cluster=image),
        metrics.corrected_by_calibration(states, CALIBRATION, cluster=image),
        metrics.from_sample(states, states, [1.0] * 21, cluster=image),
    ]
    assert [(each.fdr.low, each.fdr.high) for each in rates] == [(0, 1)] * 3
    assert all(each.qvr.high < 0.5 for each in rates)


def test_images_without_a_verdict_say_nothing():
    states, image = [WRONG, judged.UNSCORED, judged.UNSCORED], ["x", "y", "z"]
    for found in (
        metrics.corrected_by_labels(states, [WRONG, None, None], cluster=image),
        metrics.corrected_by_calibration(states, CALIBRATION, cluster=image),
    ):
        assert (found.qvr.low, found.qvr.high, found.fdr.low, found.fdr.high) == (0, 1, 0, 1)


def test_a_skills_p_is_not_below_the_exact_tests():
    # Other questions of other images: Fisher's. Of the same ones: the sign test. 4 of 5 against 1 of 5, and so on.
    for has, other in [(2, 0), (4, 1), (5, 0), (3, 0)]:
        n = max(has, other, 5 if other else has)
        sets = [["s"]] * n + [[]] * n
        wrong = [i < has for i in range(n)] + [i < other for i in range(n)]
        apart = skills.failure_rates(sets, wrong, cluster=range(2 * n), above=0)[0].p
        table = [[has, n - has], [other, n - other]]
        assert apart >= stats.fisher_exact(table, alternative="greater")[1] * (1 - 1e-9)
        same = skills.failure_rates(sets, wrong, cluster=[*range(n)] * 2, above=0)[0].p
        assert same >= stats.binomtest(has - other, has - other, alternative="greater").pvalue


def test_fewer_canaries_caught_is_fishers_test():
    for table in ([0, 2, 2, 2], [3, 9, 8, 10], [40, 60, 55, 60]):
        caught, n, before, n_before = table
        peer = stats.fisher_exact([[caught, n - caught], [before, n_before - before]], alternative="less")[1]
        assert less_likely(*table) == pytest.approx(peer)


def test_seeds_that_agree_and_say_nothing_of_pictures_know_nothing():
    assert combined([(0.4, math.nan, math.nan)] * 5) == (0.4, -math.inf, math.inf)
    assert combined([(0.4, 0.4, 0.4)] * 5) == (0.4, -math.inf, math.inf)
    never = of_rate(metrics.rate([False] * 4, cluster=range(4)))
    same = over_seeds([never] * 3, most=1.0)
    assert (same.value, same.low) == (0, 0) and same.high == pytest.approx(never.high)
    always = of_rate(metrics.rate([True] * 4, cluster=range(4)))
    assert (over_seeds([always, never], most=1.0).low, over_seeds([always, never], most=1.0).high) == (0, 1)
    assert Above("qvr", "a", "b").joined([(0.9, 0.2, 1.0), (-0.9, -1.0, 0.4)]).high == 1
    assert Above("skills", "a", "b").joined([(9, 2, 11), (-9, -10, 4)]).high > 20


def test_all_orders_of_few_steps_are_tried():
    sets, step = [["s"]] * 4 + [[]] * 4, [0, 0, 1, 1, 2, 2, 3, 3]
    [found] = metrics.skill_trends(sets, step, above=0)
    # Steps 0 and 1 have it all, 2 and 3 never: of 24 orders, those with both of one kind first: 2 x 2 x 2.
    assert found.p == pytest.approx(8 / 24) and found.low < found.ratio < found.high
    assert np.isfinite(found.low)
