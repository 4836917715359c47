"""The numbers over all fault sets, for each condition. Intervals are of 95 % and count sets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vlmprobe import metrics
from vlmprobe.studies.plantedbench.named import LEVELS, NAMED

Run = Mapping[str, Any]
Runs = Mapping[str, Sequence[Run]]
"""Condition -> what came of its runs."""
Found = metrics.Rate | metrics.Estimate
HALF = 0.5
SHOWN = (5, 10, 20)
"""Sizes of a profile that are in the table; the figure has all."""


@dataclass(frozen=True)
class Row:
    """A number in every condition that has it."""

    section: str
    name: str
    by: Mapping[str, Found]
    share: bool = True
    """Whether it is printed in percent."""


def rows_of(runs: Runs) -> list[Row]:
    """All numbers, section by section."""
    kinds = (faults, modes, profiles, examples, richness)
    return [row for kind in kinds for row in kind(runs)]


def faults(runs: Runs) -> Iterator[Row]:
    """Of the faults detected at least ten times those that are named, at each limit, and those that could be."""
    section = "detected faults"
    for level in LEVELS:
        yield _rate(section, f"named at {level:g}", runs, lambda run, at=level: [m >= at for m, _ in _told(run)])
    yield _rate(section, "nameable", runs, lambda run: [could for _, could in _told(run)])
    for could, what in ((True, "nameable"), (False, "others")):
        yield _rate(
            section, f"{what} named at {NAMED:g}", runs,
            lambda run, could=could: [m >= NAMED for m, each in _told(run) if each is could],
        )  # fmt: skip


def modes(runs: Runs) -> Iterator[Row]:
    """How many modes there are, and which of them are false."""
    section = "modes"
    yield _mean(section, "of a run", runs, lambda run: run["modes"])
    yield _rate(section, "runs without a mode", runs, lambda run: [run["modes"] == 0])
    yield _rate(section, "false", runs, lambda run: [mode["false"] for mode in run["mode_list"]])


def profiles(runs: Runs) -> Iterator[Row]:
    """The fit of each list of weaknesses to the planted ones."""
    names = dict.fromkeys(name for some in runs.values() for run in some for name in run["profiles"])
    for name in names:
        for place, what in ((3, "F1"), (1, "recall"), (2, "precision")):
            for size in SHOWN if place == 3 else SHOWN[-1:]:
                row = _mean(f"profile: {name}", f"{what} at size {size}", runs, _at(name, size, place))
                yield replace(row, by={at: _in_unit(found) for at, found in row.by.items()})


def examples(runs: Runs) -> Iterator[Row]:
    """Of the examples that fail by the truth: how small they became, and what is still true of them."""
    section = "shrunk examples"
    for what, name in (("words", "question"), ("area", "picture")):
        yield Row(section, f"{name} left, median", {at: _median(some, what) for at, some in runs.items()})
        yield _rate(section, f"{name} halved", runs, lambda run, what=what: [r <= HALF for r in _left(run, what)])
    yield _rate(section, "valid and wrong still", runs, lambda run: [each["fails"] for each in _failed(run)])
    yield _rate(section, "by the same fault", runs, lambda run: [each["same_fault"] for each in _failed(run)])


def richness(runs: Runs) -> Iterator[Row]:
    """Whether the interval of the number of kinds has the true one, and whether the report says when it may not."""
    section = "number of kinds"
    yield _rate(section, "in the interval", runs, lambda run: _covered(run))
    yield _rate(section, "trusted", runs, lambda run: [_trusted(run)] * len(_covered(run)))
    yield _rate(section, "trusted, in it", runs, lambda run: _covered(run) if _trusted(run) else [])
    yield _rate(section, "not trusted, in it", runs, lambda run: [] if _trusted(run) else _covered(run))


def curves(runs: Sequence[Run]) -> dict[str, list[tuple[int, float]]]:
    """List of weaknesses -> (size, mean F1 over the runs)."""
    having = [run["profiles"] for run in runs if run["profiles"]]
    return {
        name: [
            (fit[0], statistics.mean(each[name][place][3] for each in having))
            for place, fit in enumerate(having[0][name])
        ]
        for name in (having[0] if having else ())
    }


def plain_of(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """For JSON."""
    return [
        {"section": row.section, "name": row.name, "by": {at: asdict(found) for at, found in row.by.items()}}
        for row in rows
    ]


def _rate(section: str, name: str, runs: Runs, values: Any) -> Row:
    return Row(section, name, {at: _rate_of(some, values) for at, some in runs.items()})


def _rate_of(runs: Sequence[Run], values: Any) -> metrics.Rate:
    pairs = [(value, run["faults_from"]) for run in runs for value in values(run)]
    return metrics.rate([value for value, _ in pairs], cluster=[of for _, of in pairs])


def _mean(section: str, name: str, runs: Runs, value: Any) -> Row:
    return Row(
        section, name,
        {
            at: metrics.mean([value(run) for run in some], cluster=[run["faults_from"] for run in some])
            for at, some in runs.items()
        },
        share=False,
    )  # fmt: skip


def _in_unit(found: Found) -> Found:
    """A share's interval, which ends where shares end."""
    return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))


def _told(run: Run) -> list[tuple[float, bool]]:
    return [(each["named"], each["nameable"]) for each in run["told"].values()]


def _at(name: str, size: int, place: int) -> Any:
    def value(run: Run) -> float | None:
        return next((fit[place] for fit in run["profiles"].get(name, ()) if fit[0] == size), None)

    return value


def _failed(run: Run) -> list[Mapping[str, Any]]:
    return [each for each in run["shrunk"] if each["failed"]]


def _left(run: Run, what: str) -> list[float]:
    return [each[what][1] / each[what][0] for each in _failed(run)]


def _median(runs: Sequence[Run], what: str) -> metrics.Estimate:
    pairs = [(value, run["faults_from"]) for run in runs for value in _left(run, what)]
    if not pairs:
        return metrics.Estimate(float("nan"), 0.0, 1.0, 0, 0, 0)
    return metrics.at_equal_n(
        statistics.median, [value for value, _ in pairs], len(pairs), cluster=[of for _, of in pairs], bounds=(0.0, 1.0)
    )


def _covered(run: Run) -> list[bool]:
    """Whether the interval has the true number, where that is known."""
    if run["kinds"] is None:
        return []
    high = run["unseen"]["richness_high"]
    return [run["unseen"]["richness_low"] <= run["kinds"] and (high is None or run["kinds"] <= high)]


def _trusted(run: Run) -> bool:
    return not run["unseen"]["doubts"]
