"""The sentences at the top: what was found, each rate with its n and its interval."""

from __future__ import annotations

from vlmprobe.report.results.demo import Summary
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.table import format

_WORDS = {"default": "the default way of asking", "paper": "the paper's reward", "zero-shot": "zero-shot"}


def headline(summary: Summary) -> list[str]:
    """What each arm found at its calls, and what that counts; then programs and failure rates. Without planted faults
    the programs come first."""
    programs = _found(summary, "found", "distinct_failing_programs")
    if not summary.planted:
        return [f"Of different programs (kinds of question) that fail {programs}{_equal(summary)}.", _rates(summary)]
    return [
        f"Of {len(summary.planted)} planted faults {_found(summary, 'detected', 'detected_10')}{_equal(summary)}.",
        _counted(summary),
        f"Of different programs (kinds of question) that fail {programs}.",
        _rates(summary),
    ]


def words_of(arm: str) -> str:
    """An arm as sentences name it."""
    return _WORDS.get(arm, f"the reward {arm}")


def rate(estimate: Estimate) -> str:
    """The rate with its interval and its n: `31.2 % (28.9 to 33.6, n = 1,402)`."""
    interval = format.percent_interval((estimate.low, estimate.high), " to ")
    inside = ([interval] if interval else []) + [f"n = {format.count(estimate.n)}"]
    return f"{format.percent(estimate.value)} % ({', '.join(inside)})"


def _found(summary: Summary, verb: str, key: str) -> str:
    """`the default way of asking found 9, zero-shot 4 and the paper's reward 3`; where arms made different numbers of
    calls, each with its own."""
    parts = []
    for index, (name, arm) in enumerate(summary.arms.items()):
        calls = "" if summary.calls is not None else f" (at {format.count(arm.answerer_calls)} answerer calls)"
        number: float | None = getattr(arm, key)
        parts.append(f"{words_of(name)}{calls} {'' if index else verb + ' '}{format.count(number)}")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _counted(summary: Summary) -> str:
    total, reachable = len(summary.planted), summary.reachable
    said = "A fault counts as detected once ten different pairs of a picture and a question showed it. "
    if reachable == total:
        return said + "All of them can be reached: each is met by at least 0.03 % of valid questions."
    return said + (
        f"{format.count(reachable)} of them can be expected to be reached, being met by at least 0.03 % of valid "
        "questions; the others are rarer."
    )


def _rates(summary: Summary) -> str:
    found = [f"{words_of(name)} {rate(arm.failure)}" for name, arm in summary.arms.items()]
    return f"Answered wrongly, of the valid questions: {'; '.join(found)}."


def _equal(summary: Summary) -> str:
    return f", at the same {format.count(summary.calls)} answerer calls each" if summary.calls is not None else ""
