"""Rates rules on questions that had no part in finding them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from vlmprobe import metrics
from vlmprobe.modes.asked import Asked
from vlmprobe.modes.exact import fisher, q_values
from vlmprobe.modes.mode import Rated, State
from vlmprobe.modes.rules import Rule

LEAST_PICTURES = 2
"""Pictures with failures, without which nothing holds."""
LEAST_QUESTIONS = 10
"""Questions from which on a rule that does not hold is refuted."""
LEAST_VALID = 0.1
"""Of the judged questions whose words a rule takes, the valid ones. Where fewer are, the verifier calls this kind of
question bad and lets some through by mistake; how those are answered says nothing about the answerer."""


def rated(rules: Sequence[Rule], asked: Sequence[Asked], beside: Sequence[Asked]) -> list[Rated]:
    """The rating of each rule.

    Args:
        rules: found elsewhere.
        asked: the questions that rate them.
        beside: those that tell the base rate: what no rule takes of them.
    """
    others = [each for each in beside if each.valid and not any(rule.takes(each.concepts) for rule in rules)]
    base = rate_of(others)
    counts = [_taken(rule, asked) for rule in rules]
    wrong = sum(each.wrong for each in others)
    p = [_p([each.wrong for each in taken], wrong, len(others)) for taken, _ in counts]
    found = []
    for (taken, valid), one, q in zip(counts, p, q_values(p), strict=True):
        failures = sum(each.wrong for each in taken)
        found.append(Rated(n=len(taken), failures=failures, rate=rate_of(taken), base=base, p=one, q=q, valid=valid))
    return found


def state_of(rule: Rule, rating: Rated, asked: Sequence[Asked], *, alpha: float) -> State:
    """Whether it holds on the questions that rate it.

    It holds where the test says so at `alpha` over all rules, the interval of its rate is above the base rate, and
    failures are on several pictures. Where it does not, it is refuted, unless too few questions rate it to be sure. It
    is refuted as well where its questions are mostly not valid.
    """
    pictures = {each.key for each in asked if each.wrong and rule.takes(each.concepts)}
    if rating.valid < LEAST_VALID:
        return "refuted"
    if rating.q <= alpha and rating.rate.low > rating.base.value and len(pictures) >= LEAST_PICTURES:
        return "held"
    return "refuted" if rating.n >= LEAST_QUESTIONS else "unsure"


def rate_of(asked: Sequence[Asked]) -> metrics.Rate:
    """The failure rate of valid questions, with an interval that counts pictures."""
    return metrics.rate([each.wrong for each in asked], cluster=[each.key for each in asked])


def _taken(rule: Rule, asked: Sequence[Asked]) -> tuple[list[Asked], float]:
    """The valid questions that a rule takes, and the share of valid ones among those whose words it takes."""
    taken = [each for each in asked if each.valid and rule.takes(each.concepts)]
    worded = rule.only("word", "label", "picture")
    said = [each.valid for each in asked if worded is not None and worded.takes(each.concepts)]
    return taken, sum(said) / len(said) if said else math.nan


def _p(taken: Sequence[bool], wrong: int, others: int) -> float:
    return fisher(sum(taken), len(taken), sum(taken) + wrong, len(taken) + others)
