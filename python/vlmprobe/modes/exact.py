"""Exact tests of counts, and q-values over everything that was looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence


def fisher(failures: int, n: int, all_failures: int, all_n: int) -> float:
    """P of so many failures or more among n of all_n questions, where all_failures of all fail and failing has nothing
    to do with which they are: the upper tail of the hypergeometric distribution (Fisher's exact test, one-sided).

    Raises:
        ValueError: counts that cannot be.

    >>> round(fisher(2, 2, 2, 4), 4)
    0.1667
    """
    least, most = max(0, n + all_failures - all_n), min(n, all_failures)
    if not (0 <= n <= all_n and 0 <= all_failures <= all_n and least <= failures <= most):
        raise ValueError(f"[fisher] counts: expected a table of counts, got {failures, n, all_failures, all_n}")
    log = _log_choose(all_failures, failures) + _log_choose(all_n - all_failures, n - failures) - _log_choose(all_n, n)
    term, total = 1.0, 1.0  # of the first term
    for x in range(failures, most):
        term *= (all_failures - x) * (n - x) / ((x + 1) * (all_n - all_failures - n + x + 1))
        total += term
        if term < 1e-12 * total:
            break
    return min(1.0, math.exp(log + math.log(total)))


def mcnemar(one_way: int, other_way: int) -> float:
    """P of pairs that differ so unevenly, or more, where either way is as likely: the exact test of McNemar, two-sided.

    Args:
        one_way, other_way: pairs of which the first is right and the second wrong, and the reverse; pairs that agree
            say nothing.

    Raises:
        ValueError: a count below 0.

    >>> mcnemar(0, 5), mcnemar(0, 0)
    (0.0625, 1.0)
    """
    if min(one_way, other_way) < 0:
        raise ValueError(f"[mcnemar] counts: expected at least 0, got {one_way, other_way}")
    n, least = one_way + other_way, min(one_way, other_way)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(least + 1)) / 2**n)


def q_values(p: Sequence[float], *, looked_at: int | None = None) -> list[float]:
    """Benjamini and Hochberg's q-values: p times the number of tests over its rank, made monotone, at most 1.

    Args:
        p: of tests, at least those with the smallest.
        looked_at: all tests that were made; those that are not in `p` have larger ones.

    Raises:
        ValueError: fewer tests than there are p.
    """
    m = len(p) if looked_at is None else looked_at
    if m < len(p):
        raise ValueError(f"[q_values] looked_at: expected at least {len(p)}, got {m}")
    order, least = sorted(range(len(p)), key=lambda i: p[i]), 1.0
    found = [1.0] * len(p)
    for rank in range(len(p), 0, -1):
        least = min(least, p[order[rank - 1]] * m / rank)
        found[order[rank - 1]] = least
    return found


def gain(failures: int, n: int, base: float) -> float:
    """By how many nats a rate of their own describes n questions better than the rate of the others; 0 where they fail
    no more often.

    >>> gain(1, 10, 0.5)
    0.0
    """
    rate = failures / n if n else 0.0
    if rate <= base:
        return 0.0
    base = max(base, 1e-9)
    right = (n - failures) * math.log((1 - rate) / (1 - base)) if failures < n else 0.0
    return failures * math.log(rate / base) + right


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
