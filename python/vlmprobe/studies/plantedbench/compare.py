"""Methods compared over sets of faults: means, and differences to one of them, with intervals by resampling sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe import metrics

MEASURES = (
    "detected_10", "detected_3", "area_10", "area_3", "reached", "triggered", "distinct_failing_programs",
    "false_failures", "named", "nameable", "modes", "false_modes", "families", "qvr", "fdr", "ld", "answerer_calls",
    "questions_asked", "cpu_seconds",
)  # fmt: skip
"""Numbers of a run that are compared."""
GRID = 60  # places of a curve


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """A method over all sets and seeds."""

    method: str
    sets: int
    runs: int
    reachable: float
    """Mean number of faults that can be expected to be reached."""
    means: Mapping[str, metrics.Estimate]
    """Measure -> mean over the runs, clustered by set."""
    differences: Mapping[str, metrics.Difference]
    """Measure -> what it is more than the base method's, paired by set; empty of the base itself."""
    curve: Sequence[tuple[int, float]]
    """(answerer calls, mean number of faults detected with at least ten pairs)."""


def compare(results: Sequence[Mapping[str, Any]], *, base: str) -> list[MethodResult]:
    """The methods of some runs, in the order in which they come.

    Args:
        results: of `vlmprobe.studies.plantedbench.run.run_all`.
        base: the method that the others are held against.

    Raises:
        ValueError: no run of the base method, or a method that was run on other sets or seeds.
    """
    by_method: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        by_method.setdefault(result["method"], []).append(result)
    if base not in by_method:
        raise ValueError(f"[plantedbench] base: expected one of {', '.join(by_method)}, got {base!r:.60}")
    places = {method: sorted((run["faults_from"], run["seed"]) for run in runs) for method, runs in by_method.items()}
    for method, found in places.items():
        if found != places[base]:
            raise ValueError(f"[plantedbench] results: expected {method} on the sets and seeds of {base}, got others")
    return [_compared(method, runs, by_method[base]) for method, runs in by_method.items()]


def _compared(method: str, runs: Sequence[Mapping[str, Any]], base: Sequence[Mapping[str, Any]]) -> MethodResult:
    sets = [run["faults_from"] for run in runs]
    columns = {name: [run.get(name) for run in runs] for name in MEASURES}
    theirs = {name: [run.get(name) for run in base] for name in MEASURES}
    clusters: dict[str, Any] = {"cluster_a": sets, "cluster_b": [run["faults_from"] for run in base]}
    return MethodResult(
        method=method,
        sets=len(set(sets)),
        runs=len(runs),
        reachable=sum(run["reachable"] for run in runs) / len(runs),
        means={name: metrics.mean(column, cluster=sets) for name, column in columns.items()},
        differences={
            name: metrics.mean_difference(column, theirs[name], **clusters)
            for name, column in columns.items()
            if runs is not base
        },
        curve=_curve(runs),
    )


def _curve(runs: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    end = max(run["answerer_calls"] for run in runs)
    places = [end * i // GRID for i in range(GRID + 1)]
    return [(place, sum(_detected(run["curve"], place) for run in runs) / len(runs)) for place in places]


def _detected(curve: Sequence[Sequence[int]], calls: int) -> int:
    return next(at_10 for place, _, at_10 in reversed(curve) if place <= calls)
