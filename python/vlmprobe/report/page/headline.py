"""The sentences at the top: what was found, each number with its n and its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlmprobe.report.page.columns import ARMS, Evaluation, Run, equal_calls, faults_at, number, runs
from vlmprobe.report.table import format


def headline(summary: Mapping[str, Any]) -> list[str]:
    """One sentence on failures, one on validity, one on kinds, one on planted faults, one on the arms; those for which
    the summary has no numbers are left out."""
    before, after = summary.get("before"), summary.get("after")
    steps = summary.get("steps")
    sentences: list[str | None] = []
    if before is not None and after is not None:
        sentences += [_failures(before, after, steps), _validity(before, after), _kinds(before, after)]
        sentences.append(_faults(before, after))
    sentences.append(_arms([row for row in runs(summary) if row.section == ARMS]))
    return [sentence for sentence in sentences if sentence]


def rate(numbers: Evaluation, key: str, n_key: str) -> str:
    """The rate with its interval and its n: `31.2 % (28.9 to 33.6, n = 1,402)`."""
    interval = format.percent_interval(numbers.get(f"{key}_interval"), " to ")
    inside = ([interval] if interval else []) + [f"n = {format.count(number(numbers, n_key))}"]
    return f"{format.percent(number(numbers, key))} % ({', '.join(inside)})"


def _failures(before: Evaluation, after: Evaluation, steps: object) -> str | None:
    first, last = number(before, "fdr"), number(after, "fdr")
    if last is None:
        return None
    when = f"After {steps:,} training steps" if isinstance(steps, int) else "After training"
    times = f", {format.decimal(last / first, 1)} times the rate before" if first else ""
    return (
        f"{when} the answerer gets {rate(after, 'fdr', 'n_valid')} of the valid questions wrong{times}: "
        f"{rate(before, 'fdr', 'n_valid')}."
    )


def _validity(before: Evaluation, after: Evaluation) -> str | None:
    if number(after, "qvr") is None:
        return None
    return (
        f"Of the questions {rate(after, 'qvr', 'n_questions')} are valid; before, {rate(before, 'qvr', 'n_questions')}."
    )


def _kinds(before: Evaluation, after: Evaluation) -> str | None:
    programs = [number(row, "distinct_failures") for row in (before, after)]
    families = [number(row, "effective_failure_families") for row in (before, after)]
    if programs[0] is None or programs[1] is None:
        return None
    text = f"The failures are {format.count(programs[1])} distinct programs, before {format.count(programs[0])}"
    if families[0] is not None and families[1] is not None:
        text += f", in {format.decimal(families[1], 1)} effective families, before {format.decimal(families[0], 1)}"
        if families[1] < families[0]:
            text += ": more failures in fewer families" if _rose(before, after) else ""
    return text + "."


def _rose(before: Evaluation, after: Evaluation) -> bool:
    first, last = number(before, "fdr"), number(after, "fdr")
    return first is not None and last is not None and last > first


def _faults(before: Evaluation, after: Evaluation) -> str | None:
    found = [faults_at(row, "detected") for row in (before, after)]
    if found[0] is None or found[1] is None:
        return None
    return f"Of {len(after['faults'])} planted faults {found[1]} were detected, before {found[0]}."


def _arms(arms: list[Run]) -> str | None:
    with_rate = [arm for arm in arms if number(arm.numbers, "fdr") is not None]
    if len(with_rate) < 2:
        return None
    parts = []
    for arm in with_rate:
        found = faults_at(arm.numbers, "detected")
        faults = "" if found is None else f", {found} faults detected"
        parts.append(f"{arm.name} {rate(arm.numbers, 'fdr', 'n_valid')}{faults}")
    calls = "equal" if equal_calls(arms) else "different or unknown"
    return f"Failure rates of whole runs at {calls} answerer calls: {'; '.join(parts)}."
