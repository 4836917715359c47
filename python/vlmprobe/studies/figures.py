"""What figures 4 to 7 and the appendix's curve show, as plain values; `vlmprobe.report` draws them.

Figures 4 and 5 are of the evaluation passes, figures 6, 7 and the curve of the training pool. Of several seeds,
figures 6 and 7 show the first one, the others the mean.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from vlmprobe import metrics
from vlmprobe.data.order import StepImages
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger.questions import is_correct, is_valid
from vlmprobe.metrics import skills as skill_numbers
from vlmprobe.studies.comparisons import rises
from vlmprobe.studies.numbers import Outcome, combined, of_rate, over_seeds, skills_of, wrong_of
from vlmprobe.studies.tables import SIX, Outcomes, joined, published
from vlmprobe.studies.values import finite, plain_estimate

WINDOWS = 10
STAGES = 4


def figures(outcomes: Outcomes, images: ImageSource) -> dict[str, Any]:
    """The figures whose arms are there."""
    compared = [name for name in SIX if name in outcomes]
    found: dict[str, Any] = {}
    named = all(outcomes[name][0].named for name in outcomes)
    if len(compared) > 1 and named:
        found["figure-4"] = {"methods": shared_and_exclusive(outcomes, compared)}
        found["figure-5a"] = {"methods": [_combinations(name, outcomes[name]) for name in compared]}
        found["figure-5b"] = {"methods": [_shares(name, outcomes[name]) for name in compared]}
    if len(compared) > 1:
        found["curve"] = {"methods": [_curve(name, outcomes[name]) for name in compared]}
    if "RL" in outcomes and named and max(outcomes["RL"][0].pool_steps) > 0:
        found["figure-6"] = _density(outcomes["RL"][0])
    if "RL" in outcomes and (stages := _stages(outcomes["RL"][0], images)) is not None:
        found["figure-7"] = stages
    return found


def shared_and_exclusive(outcomes: Outcomes, names: Sequence[str]) -> list[dict[str, Any]]:
    """Figure 4: skills of each method at equal n, those that all have, and those that no other has; means of seeds."""
    counts: dict[str, list[tuple[int, int, int]]] = {name: [] for name in names}
    for seed in zip(*(outcomes[name] for name in names), strict=True):
        sets = {
            name: skill_numbers.known_skills(one.cut[0], above=one.scale.above)
            for name, one in zip(names, seed, strict=True)
        }
        alone, everyones = skill_numbers.exclusive(sets), skill_numbers.shared(sets)
        for name in names:
            counts[name].append((len(sets[name]), len(everyones), len(alone[name])))
    means = {name: map(fmean, zip(*each, strict=True)) for name, each in counts.items()}
    return [
        {
            "name": name,
            **dict(zip(("skills", "shared", "exclusive"), means[name], strict=True)),
            "paper": published()["figure-4"].get(name, {}),
        }
        for name in names
    ]


def _combinations(name: str, seeds: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "name": name,
        "combinations": plain_estimate(joined("combinations", [one.numbers["combinations"] for one in seeds])),
    }


def _shares(name: str, seeds: Sequence[Outcome]) -> dict[str, Any]:
    each = [[of_rate(rate) for rate in skill_numbers.rates_by_count(one.skills, cluster=one.images)] for one in seeds]
    return {
        "name": name,
        "shares": [plain_estimate(over_seeds(column, most=1.0)) for column in zip(*each, strict=True)],
    }


def _curve(name: str, seeds: Sequence[Outcome]) -> dict[str, Any]:
    each = [
        metrics.cumulative_rates(wrong_of(one.pool), cluster=[image for image, _ in one.pool.valid()]) for one in seeds
    ]
    value, low, high = combined(rises(seeds))
    return {
        "name": name,
        "points": [
            {
                "asked": round(fmean(point.asked for point in points)),
                **plain_estimate(over_seeds([of_rate(point.rate) for point in points], most=1.0)),
            }
            for points in zip(*each, strict=False)  # very short pools have fewer points
        ],
        "rise": {"value": finite(value), "low": finite(low), "high": finite(high)},
    }


def _density(outcome: Outcome) -> dict[str, Any]:
    rows = zip(outcome.pool.rows, outcome.pool_steps, strict=True)
    steps = [step for (_, question), step in rows if is_valid(question)]
    named = skills_of(outcome.pool)
    trends = metrics.skill_trends(named, steps, above=outcome.scale.above)
    drawn = metrics.densities(named, steps, windows=WINDOWS)
    return {
        "method": outcome.arm.method,
        "steps": [min(steps), max(steps)],
        "skills": [
            {"skill": each.skill, "kind": each.kind, "densities": drawn[each.skill], "q": each.q, "n": each.n}
            for each in trends
        ],
        "counts": dict(Counter(each.kind for each in trends)),
    }


def _stages(outcome: Outcome, images: ImageSource) -> dict[str, Any] | None:
    """Figure 7: of the picture that was asked about at the most steps and can be read, its first sequence at several of
    them; None where no picture can be read any more."""
    seen: dict[int, dict[int, list[Any]]] = {}
    for (image, question), step in zip(outcome.pool.rows, outcome.pool_steps, strict=True):
        seen.setdefault(image, {}).setdefault(step, []).append(question)
    ordered = sorted(seen, key=lambda each: (-len(seen[each]), each))
    picture = next((found[0] for each in ordered if (found := StepImages(images, [each]))), None)
    if picture is None:
        return None
    image = picture.id
    steps = sorted(seen[image])
    shown = [steps[round(i * (len(steps) - 1) / (STAGES - 1))] for i in range(STAGES)]
    return {
        "method": outcome.arm.method,
        "image": picture.key,
        "png": _png(picture.pixels),
        "stages": [{"step": step, "questions": _first_sequence(seen[image][step])} for step in dict.fromkeys(shown)],
    }


def _first_sequence(questions: Sequence[Any]) -> list[dict[str, Any]]:
    first = questions[0].sequence
    return [
        {
            "text": question.text,
            "valid": is_valid(question),
            "correct": is_correct(question),
            "answer": None if question.answer is None else question.answer.text,
            "truth": question.annotations.get("truth"),
        }
        for question in questions
        if question.sequence == first
    ]


def _png(pixels: Any) -> str:
    buffer = io.BytesIO()
    pixels.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
