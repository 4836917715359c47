"""Rates with intervals, measures of diversity, numbers over skills, and what a judge's errors do to all of them.

    fdr = metrics.rate(wrong, cluster=image)        # 0.476 [0.441, 0.511] n=1536
    kinds = metrics.effective_number(families)
    hard = metrics.skills.failure_rates(skills, wrong, cluster=image)

One page with every formula: docs/metrics.md. Edge cases: ``include/vlmprobe/metrics/`` and the functions' docstrings.
"""

from vlmprobe.metrics import skills
from vlmprobe.metrics.agreement import cohen_kappa, krippendorff_alpha, percent_agreement
from vlmprobe.metrics.annotators import Agreement, annotator_agreement
from vlmprobe.metrics.diversity import (
    VendiAccumulator,
    duplicates,
    effective_number,
    effective_number_counted,
    entropy,
    prefix_entropy,
    prefix_entropy_normalized,
    vendi,
)
from vlmprobe.metrics.equal_n import at_equal_n, equal_rows, prefix_entropy_at, vendi_at
from vlmprobe.metrics.estimate import Estimate
from vlmprobe.metrics.interaction import Interaction, Interactions, interactions
from vlmprobe.metrics.judged import corrected_by_calibration, corrected_by_labels, from_sample
from vlmprobe.metrics.rates import Rate, rate, t_quantile
from vlmprobe.metrics.resampling import Difference, mean, mean_difference, paired_difference
from vlmprobe.metrics.skill_trends import SkillTrend, densities, skill_trends
from vlmprobe.metrics.trends import CumulativeRate, cumulative_rates, rise
from vlmprobe.metrics.universal import SkillAcrossModels, across_models

__all__ = [
    "Agreement",
    "CumulativeRate",
    "Difference",
    "Estimate",
    "Interaction",
    "Interactions",
    "Rate",
    "SkillAcrossModels",
    "SkillTrend",
    "VendiAccumulator",
    "across_models",
    "annotator_agreement",
    "at_equal_n",
    "cohen_kappa",
    "corrected_by_calibration",
    "corrected_by_labels",
    "cumulative_rates",
    "densities",
    "duplicates",
    "effective_number",
    "effective_number_counted",
    "entropy",
    "equal_rows",
    "from_sample",
    "interactions",
    "krippendorff_alpha",
    "mean",
    "mean_difference",
    "paired_difference",
    "percent_agreement",
    "prefix_entropy",
    "prefix_entropy_at",
    "prefix_entropy_normalized",
    "rate",
    "rise",
    "skill_trends",
    "skills",
    "t_quantile",
    "vendi",
    "vendi_at",
]
