"""The sentences at the top: what was found, each number with its n and its interval."""

from __future__ import annotations

from collections.abc import Mapping

from vlmprobe.report.page.columns import equal_calls
from vlmprobe.report.results.demo import Evaluation, Summary
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.table import format


def headline(summary: Summary) -> list[str]:
    """One sentence on failures, one on validity, one on kinds, one on planted faults, one on the arms; those for which
    the summary has no numbers are left out."""
    before, after = summary.before, summary.after
    sentences: list[str | None] = []
    if before is not None and after is not None:
        sentences += [_failures(before, after, summary.steps), _validity(before, after), _kinds(before, after)]
        sentences.append(_faults(before, after))
    sentences.append(_arms(summary.arms))
    return [sentence for sentence in sentences if sentence]


def rate(estimate: Estimate) -> str:
    """The rate with its interval and its n: `31.2 % (28.9 to 33.6, n = 1,402)`."""
    interval = format.percent_interval((estimate.low, estimate.high), " to ")
    inside = ([interval] if interval else []) + [f"n = {format.count(estimate.n)}"]
    return f"{format.percent(estimate.value)} % ({', '.join(inside)})"


def _failures(before: Evaluation, after: Evaluation, steps: int | None) -> str | None:
    if after.fdr is None:
        return None
    when = "After training" if steps is None else f"After {steps:,} training steps"
    times = f", {format.decimal(after.fdr / before.fdr, 1)} times the rate before" if before.fdr else ""
    return (
        f"{when} the answerer gets {rate(after.failure)} of the valid questions wrong{times}: {rate(before.failure)}."
    )


def _validity(before: Evaluation, after: Evaluation) -> str | None:
    if after.qvr is None:
        return None
    return f"Of the questions {rate(after.validity)} are valid; before, {rate(before.validity)}."


def _kinds(before: Evaluation, after: Evaluation) -> str | None:
    programs = before.distinct_failures, after.distinct_failures
    families = before.effective_failure_families, after.effective_failure_families
    if programs[0] is None or programs[1] is None:
        return None
    text = f"The failures are {format.count(programs[1])} distinct programs, before {format.count(programs[0])}"
    if families[0] is not None and families[1] is not None:
        text += f", in {format.decimal(families[1], 1)} effective families, before {format.decimal(families[0], 1)}"
        if families[1] < families[0]:
            text += ": more failures in fewer families" if _rose(before, after) else ""
    return text + "."


def _rose(before: Evaluation, after: Evaluation) -> bool:
    return before.fdr is not None and after.fdr is not None and after.fdr > before.fdr


def _faults(before: Evaluation, after: Evaluation) -> str | None:
    found = [run.faults_at("detected") for run in (before, after)]
    if found[0] is None or found[1] is None:
        return None
    return f"Of {len(after.faults)} planted faults {found[1]} were detected, before {found[0]}."


def _arms(arms: Mapping[str, Evaluation]) -> str | None:
    with_rate = {name: arm for name, arm in arms.items() if arm.fdr is not None}
    if len(with_rate) < 2:
        return None
    parts = []
    for name, arm in with_rate.items():
        found = arm.faults_at("detected")
        faults = "" if found is None else f", {found} faults detected"
        parts.append(f"{name} {rate(arm.failure)}{faults}")
    calls = "equal" if equal_calls(arms) else "different or unknown"
    return f"Failure rates of whole runs at {calls} answerer calls: {'; '.join(parts)}."
