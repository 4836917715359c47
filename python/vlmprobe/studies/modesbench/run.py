"""One run: a fault set asked about by the default prober, its modes found and confirmed, and all that is counted.

Beside what `vlmprobe.studies.plantedbench.run` writes of a run, its file has

    told       id of each fault that was detected at least ten times -> `named`, the best that a mode has of it, by the
               lesser of precision and coverage, and `nameable`, whether words and answers could name it
    profiles   list -> its fit to the planted weaknesses at each size, [size, recall, precision, F1]; the planted ones
               are the faults that were detected at least ten times; empty where there is none
    shrunk     examples that were shrunk (`vlmprobe.studies.modesbench.shrunk`)
    unseen     how many kinds of failure there are by the estimate, and why it may not be trusted
    kinds      how many there are in truth: the faults that can be reached; None where the answerer errs by itself
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vlmprobe.models.embedder import shared_embedder
from vlmprobe.studies.modesbench.instances import Instance, instances
from vlmprobe.studies.modesbench.profile import fits
from vlmprobe.studies.modesbench.rivals import Listed, by_skills, by_topics
from vlmprobe.studies.modesbench.shrunk import shrunk_of
from vlmprobe.studies.plantedbench import run as planted
from vlmprobe.studies.plantedbench.named import DETECTED, Told, nameable, taken_by
from vlmprobe.studies.plantedbench.run import Run
from vlmprobe.world.answerers import FaultyAnswerer
from vlmprobe.world.source import POOL_SEED, WorldImages

CLOSER = 0.1
"""Answerer calls for shrinking, as a share of the budget; they come on top of it."""
OURS = "modes"


def run_one(run: Run, folder: Path) -> dict[str, Any]:
    """Runs it, or goes on with it, and writes its file; see the head of this file."""
    return planted.run_one(run, folder, more=numbers)


def numbers(run: Run, told: Told, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the head of this file says, of a run whose modes are known."""
    answerer = told.roles.answerer
    assert isinstance(answerer, FaultyAnswerer)
    settings, images = run.settings, WorldImages(run.settings.pool, seed=POOL_SEED)
    detected = [fault for fault, each in found["faults"].items() if each["detected"] >= DETECTED]
    return {
        "told": _told(told, found["mode_list"], detected),
        "profiles": profiles(told, answerer, images, detected) if detected else {},
        "shrunk": shrunk_of(told, images, answerer, calls=round(CLOSER * settings.budget)),
        "unseen": asdict(told.modes.unseen),
        "kinds": _kinds(run, found),
    }


def profiles(
    told: Told, answerer: FaultyAnswerer, images: WorldImages, detected: Sequence[str]
) -> dict[str, list[tuple[int, float, float, float]]]:
    """The fit of each list of weaknesses, at each size."""
    some, embedder = instances(answerer.faults), shared_embedder("minilm")
    lists = {
        OURS: by_modes(told, some),
        "topics": by_topics([each.asked.text for each in told.failures], some, embedder),
        **by_skills(told.asked, images, some, embedder, built=told.described.built if told.described else None),
    }
    weights = [each.weight for each in some]
    planted_ones = [{i for i, each in enumerate(some) if fault in each.reached} for fault in detected]
    return {
        name: [(fit.size, fit.recall, fit.precision, fit.f1) for fit in fits(listed, planted_ones, weights)]
        for name, listed in lists.items()
    }


def by_modes(told: Told, some: Sequence[Instance]) -> Listed:
    """The instances that each mode takes, the modes ranked as they are."""
    rules = [mode.rule for mode in told.modes.holding]
    return [set(taken) for taken in taken_by(rules, told, [(each.image, each.text, each.answer) for each in some])]


def _told(told: Told, modes: Sequence[Mapping[str, Any]], detected: Sequence[str]) -> dict[str, Any]:
    could = nameable(told.failures)
    best = dict.fromkeys(detected, 0.0)
    for each in modes:
        if each["fault"] in best:
            best[each["fault"]] = max(best[each["fault"]], min(each["precision"], each["coverage"]))
    return {fault: {"named": level, "nameable": fault in could} for fault, level in best.items()}


def _kinds(run: Run, found: Mapping[str, Any]) -> int | None:
    if run.settings.answerer != "executing":
        return None
    return 0 if run.settings.control else int(found["reachable"])
