"""The paper's numbers over skills by a taxonomy, beside those by the world's own labels; the first seed.

The taxonomy is made of the words of the world's stand-in (`vlmprobe.world.labeller`), over all methods at once, so a
number that both labels agree on does not hang on who named the skills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe import metrics
from vlmprobe._util.optional import installed
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger.questions import is_valid
from vlmprobe.metrics import Estimate
from vlmprobe.metrics.partitions import adjusted_mutual_information
from vlmprobe.studies.numbers import Outcome, wrong_of
from vlmprobe.studies.plan import ANSWERERS
from vlmprobe.studies.setup import Setup
from vlmprobe.studies.tables import TABLE_1, Outcomes
from vlmprobe.studies.values import plain_estimate
from vlmprobe.taxonomy.asking import Labeller
from vlmprobe.taxonomy.build import Built, Method, build
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.figures import skills_of, two_clusterings

BOTH = ("taxonomy", "world")
POOL = "pool of "  # begins the name of a method whose questions are about the pool


@dataclass(frozen=True)
class Both:
    """Valid questions with their skills under both labels."""

    images: Sequence[Hashable]
    families: Sequence[str]
    skills: dict[str, list[tuple[str, ...]]]
    """Label of BOTH -> [N] skills."""


def by_taxonomy(outcomes: Outcomes, setup: Setup) -> list[dict[str, Any]]:
    """The table, where there is a world with a stand-in and the taxonomy's packages; else none."""
    if not (setup.world and installed("sklearn")):
        return []
    from vlmprobe.world.labeller import WordLabeller

    first = {name: seeds[0] for name, seeds in outcomes.items()}
    shown = {name: first[name] for name in TABLE_1 if name in first and first[name].valid}
    methods = [_method(name, one.valid, setup.held_out, WordLabeller()) for name, one in shown.items()]
    pools: dict[str, Outcome] = {
        name: first[name] for name in ("RL", "random valid") if name in first and first[name].pool.valid()
    }
    methods += [_method(POOL + name, one.pool.valid(), setup.pool, WordLabeller()) for name, one in pools.items()]
    if not shown:
        return []
    built = build(methods, methods[0].labeller, setup.embedder)
    rows = {name: _both(name, one.valid, built, kept=one.scale.equal_n) for name, one in shown.items()}
    above = next(iter(shown.values())).scale.above
    return [
        {
            "id": "taxonomy",
            "title": "Skills by a taxonomy of noisy words, and by the world's own labels",
            "labels": ["method"],
            "columns": _columns(),
            "rows": [{"labels": [name], "ours": _numbers(name, rows, above), "paper": {}} for name in rows],
            "notes": [_about(built, setup), *_over_training(built, pools), *_over_answerers(built, first)],
        }
    ]


def _method(name: str, valid: Sequence[tuple[int, Any]], images: ImageSource, model: Any) -> Method:
    questions = [Question(image, str(image), question.text, None) for image, question in valid]
    return Method(name=name, questions=questions, picture=images.__getitem__, labeller=Labeller(model))


def _both(name: str, valid: Sequence[tuple[int, Any]], built: Built, *, kept: int | None = None) -> Both:
    """The questions of a method, cut to so many."""
    rows = range(len(valid)) if kept is None else metrics.equal_rows(len(valid), min(kept, len(valid)))
    some = [valid[i] for i in rows]
    questions = [Question(image, str(image), question.text, None) for image, question in some]
    return Both(
        images=[image for image, _ in some],
        families=[str(question.annotations.get("family")) for _, question in some],
        skills={
            "taxonomy": skills_of(questions, built.assigned[name]),
            "world": [tuple(question.annotations.get("skills") or ()) for _, question in some],
        },
    )


def _columns() -> list[dict[str, Any]]:
    kinds = (("skills", 0), ("exclusive", 0), ("coverage", 2), ("combinations", 0))
    columns = [{"key": f"{k}_{by}", "title": f"{k}, {by}", "digits": digits} for k, digits in kinds for by in BOTH]
    return [*columns, {"key": "ami", "title": "AMI with families", "digits": 2}]


def _numbers(name: str, rows: dict[str, Both], above: int) -> dict[str, Any]:
    own, n = rows[name], len(rows[name].images)
    found: dict[str, Any] = {}
    for by in BOTH:
        known = {each: metrics.skills.known_skills(both.skills[by], above=above) for each, both in rows.items()}
        alone = len(metrics.skills.exclusive(known)[name])
        skills, images = own.skills[by], own.images
        found |= {
            f"skills_{by}": plain_estimate(metrics.skills.number(skills, cluster=images, above=above)),
            f"exclusive_{by}": {"value": alone, "low": None, "high": None, "n": n},
            f"coverage_{by}": plain_estimate(metrics.skills.mean_coverage(skills, cluster=images)),
            f"combinations_{by}": plain_estimate(
                _at_n(lambda some: float(metrics.skills.combinations(some)), skills, images, float(n))
            ),
        }
    main = [(*each, "none")[0] for each in own.skills["taxonomy"]]
    pairs = list(zip(own.families, main, strict=True))
    return {**found, "ami": plain_estimate(_at_n(_ami, pairs, own.images, 1.0))}


def _at_n(measure: Any, rows: Sequence[Any], images: Sequence[Hashable], most: float) -> Estimate:
    return metrics.at_equal_n(measure, rows, len(rows), cluster=images, bounds=(min(0.0, -most), most))


def _ami(pairs: Sequence[tuple[str, str]]) -> float:
    return adjusted_mutual_information(*zip(*pairs, strict=True))


def _about(built: Built, setup: Setup) -> str:
    ways = two_clusterings(built, setup.embedder)
    under = "; ".join(f"{how} {each['clusters']} and {each['skills']}" for how, each in ways.items())
    return (
        f"One taxonomy of all methods: {len(built.taxonomy.topics)} topics, {len(built.taxonomy.live)} skills, "
        f"{len(built.taxonomy.meta_skills)} meta-skills, embedded by {setup.embedder.identity}. The labeller is the "
        f"world's stand-in, one in ten of whose words is wrong. Clusters and skills by two clusterings: {under}. At "
        "equal n; exclusive: skills of one method of this "
        "table only. AMI: of a question's family and the skill that it turns on; 1 is equal, 0 chance."
    )


def _over_training(built: Built, pools: dict[str, Outcome]) -> list[str]:
    """How many skills are early, late and persistent over RL's training, by both labels."""
    if "RL" not in pools or max(pools["RL"].pool_steps, default=0) == 0:
        return []
    one = pools["RL"]
    both = _both(f"{POOL}RL", one.pool.valid(), built)
    steps = [step for (_, question), step in zip(one.pool.rows, one.pool_steps, strict=True) if is_valid(question)]
    kinds = {by: metrics.skill_trends(both.skills[by], steps, above=one.scale.above) for by in BOTH}
    return [f"Density over the training of RL: {_counted({by: [each.kind for each in kinds[by]] for by in BOTH})}."]


def _over_answerers(built: Built, first: dict[str, Outcome]) -> list[str]:
    """How many skills are hard for every answerer and for some, by both labels."""
    names = ["random valid", *(f"random valid on {label}" for label in ANSWERERS[1:])]
    if not first.keys() >= set(names) or f"{POOL}random valid" not in built.assigned:
        return []
    each = {label: first[name] for label, name in zip(ANSWERERS, names, strict=True)}
    both = {label: _both(f"{POOL}random valid", one.pool.valid(), built) for label, one in each.items()}
    model = [label for label, one in both.items() for _ in one.images]
    wrong = [value for one in each.values() for value in wrong_of(one.pool)]
    images = [image for one in both.values() for image in one.images]
    found = {
        by: metrics.across_models(model, [s for one in both.values() for s in one.skills[by]], wrong, cluster=images)
        for by in BOTH
    }
    return [f"Over the answerers: {_counted({by: [skill.kind for skill in found[by]] for by in BOTH})}."]


def _counted(kinds: dict[str, list[str]]) -> str:
    """`by the taxonomy 2 early and 9 undecided of 11; by the world ...`"""
    parts = []
    for by, each in kinds.items():
        counts = " and ".join(f"{count} {kind}" for kind, count in sorted(Counter(each).items())) or "none"
        parts.append(f"by the {by} {counts} of {len(each)}")
    return "; ".join(parts)
