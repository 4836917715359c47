"""Rates with intervals, measures of diversity, and what a judge's errors do to both.

    fdr = metrics.rate(wrong, cluster=image)        # 0.476 [0.441, 0.511] n=1536
    kinds = metrics.effective_number(families)

Formulas and edge cases: ``include/vlmprobe/metrics/`` and the functions' docstrings.
"""

from vlmprobe.metrics.agreement import cohen_kappa, krippendorff_alpha, percent_agreement
from vlmprobe.metrics.diversity import (
    VendiAccumulator,
    duplicates,
    effective_number,
    entropy,
    prefix_entropy,
    prefix_entropy_normalized,
    vendi,
)
from vlmprobe.metrics.judged import corrected_by_calibration, corrected_by_labels, from_sample
from vlmprobe.metrics.rates import Difference, Rate, paired_difference, rate, t_quantile

__all__ = [
    "Difference",
    "Rate",
    "VendiAccumulator",
    "cohen_kappa",
    "corrected_by_calibration",
    "corrected_by_labels",
    "duplicates",
    "effective_number",
    "entropy",
    "from_sample",
    "krippendorff_alpha",
    "paired_difference",
    "percent_agreement",
    "prefix_entropy",
    "prefix_entropy_normalized",
    "rate",
    "t_quantile",
    "vendi",
]
