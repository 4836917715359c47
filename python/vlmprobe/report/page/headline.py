"""The sentences at the top: what was found, each rate with its n and its interval."""

from __future__ import annotations

from vlmprobe.report.page.columns import arm_name
from vlmprobe.report.results.demo import Summary
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.table import format

_WORDS = {"default": "the default way of asking", "paper": "the paper's reward", "zero-shot": "zero-shot"}


def headline(summary: Summary) -> list[str]:
    """What each arm found at its calls, and what that counts; then programs and failure rates. Without planted faults
    the programs come first."""
    programs = _found(summary, "distinct_failing_programs", "found {} different programs (kinds of question) that fail")
    if not summary.planted:
        return [f"{_capital(programs)}{_equal(summary)}.", _rates(summary)]
    faults = _found(summary, "detected_10", "detected {}")
    planted = len(summary.planted)
    return [
        f"Of {planted} planted fault{'' if planted == 1 else 's'} {faults}{_equal(summary)}.",
        _counted(summary),
        f"{_capital(programs)}.",
        _rates(summary),
    ]


def rate(estimate: Estimate) -> str:
    """The rate with its interval and its n: `31.2 % (28.9 to 33.6, n = 1,402)`."""
    interval = format.percent_interval((estimate.low, estimate.high), " to ")
    inside = ([interval] if interval else []) + [f"n = {format.count(estimate.n)}"]
    return f"{format.percent(estimate.value)} % ({', '.join(inside)})"


def _found(summary: Summary, key: str, first: str) -> str:
    """`the default way of asking detected 9, zero-shot 4 and the paper's reward 3`; where arms made different numbers
    of calls, each with its own."""
    parts = list[str]()
    for name, arm in summary.arms.items():
        calls = "" if summary.calls is not None else f" (at {format.count(arm.answerer_calls)} answerer calls)"
        number: float | None = getattr(arm, key)
        shown = format.count(number)
        parts.append(f"{_WORDS.get(name, f'the reward {name}')}{calls} {shown if parts else first.format(shown)}")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    found = [f"{arm_name(name)} {rate(arm.failure)}" for name, arm in summary.arms.items()]
    return f"Answered wrongly, of the valid questions: {'; '.join(found)}."


def _equal(summary: Summary) -> str:
    return f", at the same {format.count(summary.calls)} answerer calls each" if summary.calls is not None else ""
