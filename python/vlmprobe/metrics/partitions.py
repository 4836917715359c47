"""How alike two ways of sorting the same things are.

adjusted mutual information   (I(a, b) - E[I]) / (mean(H(a), H(b)) - E[I]): 1 for equal partitions, 0 for chance
adjusted Rand index           the same for the pairs of things that are together
harmonic purity               sum_i (n_i / N) max_j F1(i, j): how well each class is one of the clusters
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence

from vlmprobe._util.checks import check_rows
from vlmprobe._util.optional import require
from vlmprobe.metrics._labels import codes


def adjusted_mutual_information(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """At most 1; 0 is what chance gives; NaN for nothing.

    Args:
        a, b: [N] the labels of each thing in both partitions.

    Raises:
        ValueError: unequal lengths.
        ModuleNotFoundError: scikit-learn is missing; names the extra.

    Source: Vinh, Epps and Bailey 2010; computed by scikit-learn, with the arithmetic mean.
    """
    return _adjusted("adjusted_mutual_information", "adjusted_mutual_info_score", a, b)


def adjusted_rand(a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    """At most 1; 0 is what chance gives; NaN for nothing. Arguments and errors as in `adjusted_mutual_information`.

    Source: Hubert and Arabie 1985; computed by scikit-learn.
    """
    return _adjusted("adjusted_rand", "adjusted_rand_score", a, b)


def harmonic_purity(classes: Sequence[Collection[Hashable]], clusters: Sequence[Collection[Hashable]]) -> float:
    """The mean over classes, weighted by their sizes, of the best F1 that a cluster has for the class.

    A thing may be in several classes and several clusters, or in none.

    Args:
        classes, clusters: [N] the labels of each thing.

    Returns:
        In [0, 1]; NaN where nothing is in a class.
    Raises:
        ValueError: unequal lengths.

    Example:
        >>> harmonic_purity([["a"], ["a"], ["b"]], [[1], [1], [1]])  # (2/3)(4/5) + (1/3)(2/4)
        0.7000000000000001

    Source: as TopicGPT uses it (Pham et al., arXiv 2311.01449).
    """
    check_rows("metrics::harmonic_purity", "clusters", len(classes), clusters)
    members = [_members(each) for each in (classes, clusters)]
    total = sum(map(len, members[0].values()))
    best = (max((_f1(own, other) for other in members[1].values()), default=0.0) for own in members[0].values())
    weighted = sum(len(own) * f1 for own, f1 in zip(members[0].values(), best, strict=True))
    return weighted / total if total else math.nan


def _members(labels: Sequence[Collection[Hashable]]) -> dict[Hashable, set[int]]:
    found: dict[Hashable, set[int]] = {}
    for place, each in enumerate(labels):
        for label in each:
            found.setdefault(label, set()).add(place)
    return found


def _f1(a: set[int], b: set[int]) -> float:
    return 2 * len(a & b) / (len(a) + len(b))


def _adjusted(op: str, name: str, a: Sequence[Hashable], b: Sequence[Hashable]) -> float:
    check_rows(f"metrics::{op}", "b", len(a), b)
    score = getattr(require("sklearn.metrics", extra="topics"), name)
    return float(score(codes(a), codes(b))) if len(a) else math.nan
