"""A reproduction's results from its ledgers alone: tables, figures, claims, judges and models, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlmprobe import metrics
from vlmprobe.studies.arms import EVALUATOR, REWEIGHTED, check_same, done, folder_of, judging
from vlmprobe.studies.claims import claims
from vlmprobe.studies.figures import figures
from vlmprobe.studies.labelled import by_taxonomy
from vlmprobe.studies.numbers import Outcome, of_rate, skills_of, wrong_of
from vlmprobe.studies.plan import ANSWERERS, Arm, Scale
from vlmprobe.studies.sensitivity import judge_sensitivity
from vlmprobe.studies.sensitivity_rewards import rewarded
from vlmprobe.studies.setup import Setup
from vlmprobe.studies.tables import TABLE_1, Outcomes, notes, tables
from vlmprobe.studies.values import plain_estimate

VERIFIER = "verifier"
MOST = 20  # lines of a table of skills
LEVEL = 0.05  # of q-values


def outcomes_of(
    arms: Sequence[Arm], folder: Path, seeds: Sequence[int], setup: Setup, scale: Scale
) -> dict[str, list[Outcome]]:
    """The arms that have ended with every seed.

    Raises:
        ValueError: none has; or one had other settings.
    """
    found = {}
    for arm in arms:
        places = {seed: folder / f"seed-{seed}" for seed in seeds}
        if all(done(place / folder_of(arm)) for place in places.values()):
            for seed, place in places.items():
                check_same(arm, setup, place / folder_of(arm), seed=seed)
            found[arm.name] = [Outcome(arm, place, scale, setup.embedder) for place in places.values()]
    if not found:
        raise ValueError(f"[reproduce] {folder}: expected an arm that has ended, got none")
    return found


def results(
    outcomes: Outcomes, setup: Setup, scale: Scale, *, only: Sequence[int], seeds: Sequence[int], name: str
) -> dict[str, Any]:
    """All that a report shows; `vlmprobe.report.results` reads it.

    Args:
        outcomes: of `outcomes_of`.
        setup, scale: of the reproduction.
        only: numbers of the paper's tables to show.
        seeds: of every arm.
        name: of the scale.
    """
    return {
        "title": f"The paper's tables and figures, scale {name}",
        "settings": setup.settings(),
        "seeds": list(seeds),
        "notes": about(setup) + notes(scale) + drawn(seeds),
        "versions": versions(outcomes),
        "world": setup.world,
        "tables": tables(outcomes, only=only, world=setup.world) + more_tables(outcomes) + by_taxonomy(outcomes, setup),
        "figures": figures(outcomes, setup.pool),
        "claims": claims(outcomes),
        "sensitivity": sensitivity(outcomes, scale),
    }


def versions(outcomes: Outcomes) -> dict[str, str]:
    """Of what the arms were run with, from their ledgers; several where they differ."""
    found: dict[str, dict[str, None]] = {}
    for seeds in outcomes.values():
        for outcome in seeds:
            with outcome.ledger() as ledger:
                for run in ledger.runs():
                    for package, version in run.versions.items():
                        found.setdefault(package, {})[version] = None
    return {package: ", ".join(each) for package, each in sorted(found.items())}


def about(setup: Setup) -> list[str]:
    """What a reader must know first."""
    if not setup.world:
        return []
    return [
        "Everything here is the embedded world: rendered scenes, executable questions, models of up to two million "
        "parameters with planted faults. Whether a claim holds here says nothing about models of the paper's size.",
        "The questioners small and large stand for Qwen2.5-VL-3B and 7B, the answerers small, medium and large for "
        "Qwen2.5-VL-3B, 7B and Qwen3-VL-8B. The verifier errs at known rates; the evaluator knows the truth.",
    ]


def drawn(seeds: Sequence[int]) -> list[str]:
    """What the intervals are over."""
    if len(seeds) == 1:
        return [
            "One seed: intervals are over pictures, for questioners trained once each. They do not cover training, "
            "which varies by more than some of them, so a claim is at most pointed to or against; several seeds decide."
        ]
    return [
        "Intervals of tables, claims, figure 5 and the curve are for other seeds and other pictures of the evaluation "
        "(of the pool for the curve), as docs/reproduce.md says. The pool is the same for all seeds: what another one "
        "would teach is in none of them. Judge sensitivity, skills, pairs of skills, figures 6 and 7 show the first "
        "seed; figure 4 the means."
    ]


def sensitivity(outcomes: Outcomes, scale: Scale) -> dict[str, Any] | None:
    """Which rankings and findings depend on the judge, over the methods of table 1; the first seed."""
    compared = {name: outcomes[name][0] for name in TABLE_1 if name in outcomes}
    if len(compared) < 2:
        return None
    tallies = {name: {VERIFIER: one.judged(None), EVALUATOR: one.tally} for name, one in compared.items()}
    rewards = {name: {each: one.judged(judging(each)) for each in REWEIGHTED} for name, one in compared.items()}
    return judge_sensitivity(tallies, above=scale.above).plain(rewarded(rewards))


def more_tables(outcomes: Outcomes) -> list[dict[str, Any]]:
    """Skills of one answerer and of several, and pairs of skills, where the random valid control was run."""
    names = ["random valid", *(f"random valid on {label}" for label in ANSWERERS[1:])]
    found = []
    if set(names) <= outcomes.keys():
        found.append(universal({label: outcomes[name][0] for label, name in zip(ANSWERERS, names, strict=True)}))
    if "random valid" in outcomes:
        found.append(hard_skills(outcomes["random valid"][0]))
        found.append(interacting(outcomes["random valid"][0]))
    return [table for table in found if table["rows"]]


def universal(answerers: dict[str, Outcome]) -> dict[str, Any]:
    """Skills that are hard for every answerer, and for some: the same random valid questions asked of each."""
    model = [label for label, one in answerers.items() for _ in one.pool.valid()]
    skills = [each for one in answerers.values() for each in skills_of(one.pool)]
    wrong = [each for one in answerers.values() for each in wrong_of(one.pool)]
    cluster = [image for one in answerers.values() for image, _ in one.pool.valid()]
    found = metrics.across_models(model, skills, wrong, cluster=cluster)
    kinds = {kind: [each for each in found if each.kind == kind] for kind in ("universal", "specific")}
    for some in kinds.values():
        some.sort(key=lambda each: -max(rate.value for rate in each.rates.values()))
    return {
        "id": "universal",
        "title": "Universal and model-specific skills",
        "labels": ["skill", "kind", "hard for"],
        "columns": [{"key": label, "title": f"{label} FDR %", "percent": True, "digits": 1} for label in answerers],
        "rows": [
            {
                "labels": [each.skill, each.kind, ", ".join(each.hard_for)],
                "ours": {label: plain_estimate(of_rate(rate)) for label, rate in each.rates.items()},
                "paper": {},
            }
            for some in kinds.values()
            for each in some[: MOST // 2]
        ],
        "notes": [
            "Random valid questions about the pool, the same for all answerers; "
            f"{len(found)} skills tested: {len(kinds['universal'])} universal, {len(kinds['specific'])} specific, the "
            f"others undecided; at most {MOST // 2} of each are shown, those that fail most. The rule is in "
            "docs/metrics.md. The paper's examples (exclusion, anatomy, domain knowledge, terrain, negation) are of "
            "skills that pictures of shapes do not have, but for negation."
        ],
    }


def hard_skills(outcome: Outcome) -> dict[str, Any]:
    """Failure rates by skill of random valid questions about the pool; named on one half of the pictures, rated on the
    other."""
    valid = outcome.pool.valid()
    cluster = [image for image, _ in valid]
    found = metrics.skills.rated_on_the_other_half(skills_of(outcome.pool), wrong_of(outcome.pool), cluster=cluster)
    hard = [each for each in found if each.q < LEVEL]
    return {
        "id": "skills",
        "title": f"Skills that the {outcome.arm.answerer} answerer fails at",
        "labels": ["skill", "q"],
        "columns": [{"key": "fdr", "title": "FDR %", "percent": True, "digits": 1}],
        "rows": [
            {"labels": [each.skill, f"{each.q:.2g}"], "ours": {"fdr": plain_estimate(of_rate(each.rate))}, "paper": {}}
            for each in hard[:MOST]
        ],
        "notes": [
            f"Random valid questions about the pool. {len(found)} skills have more than "
            f"{metrics.skills.ABOVE} questions on one half of the pictures and are rated on the other; {len(hard)} "
            f"fail more often than the other questions there (q < {LEVEL}); at most {MOST} are shown."
        ],
    }


def interacting(outcome: Outcome) -> dict[str, Any]:
    """Pairs of skills that fail together beyond each alone, over the pool of random valid questions."""
    valid = outcome.pool.valid()
    found = metrics.interactions(skills_of(outcome.pool), wrong_of(outcome.pool), cluster=[image for image, _ in valid])
    strong = [pair for pair in found.pairs if pair.q < LEVEL]
    return {
        "id": "interactions",
        "title": "Pairs of skills that together fail more (above 0) or less than each alone says",
        "labels": ["skill", "and skill", "q"],
        "columns": [{"key": "value", "title": "log-odds", "digits": 2}],
        "rows": [
            {
                "labels": [*pair.skills, f"{pair.q:.2g}"],
                "ours": {"value": {"value": pair.value, "low": pair.low, "high": pair.high, "n": sum(pair.n)}},
                "paper": {},
            }
            for pair in strong[:MOST]
        ],
        "notes": [
            f"Random valid questions about the pool; {len(found.pairs)} pairs tested, "
            f"{found.n_small} left out for too few questions, {len(strong)} with q < {LEVEL}; at most {MOST} are shown."
        ],
    }
