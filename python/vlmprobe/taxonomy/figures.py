"""What is counted of a taxonomy: the paper's numbers over skills, each skill's failures, and how far to trust both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vlmprobe import metrics
from vlmprobe.metrics import Estimate, Rate
from vlmprobe.models.protocols import Embedder
from vlmprobe.taxonomy.assign import OTHER, Assigned, needed
from vlmprobe.taxonomy.build import Built, Method
from vlmprobe.taxonomy.clusters import second_to
from vlmprobe.taxonomy.corpus import Question
from vlmprobe.taxonomy.document import Taxonomy
from vlmprobe.taxonomy.stability import stability, under_another

Plain = dict[str, Any]


def skills_of(questions: Sequence[Question], found: Assigned) -> list[tuple[str, ...]]:
    """[N] ids of the skills of each question, as the functions of `metrics.skills` take them."""
    own = needed(found)
    return [tuple(each for each in own.get((one.image, one.text), ()) if each != OTHER) for one in questions]


def with_numbers(
    built: Built, methods: Sequence[Method], embedder: Embedder, *, cluster: bool = True, seed: int = 0
) -> Taxonomy:
    """The taxonomy with what is counted of it.

    Args:
        built: the taxonomy.
        methods: that it was made of.
        embedder: of the primitives.
        cluster: whether what hangs on the clustering is computed; else it is as the taxonomy has it.
        seed: of the bootstrap.
    """
    taxonomy = built.taxonomy
    rows = {each.name: skills_of(each.questions, built.assigned[each.name]) for each in methods}
    stable: Mapping[str, float | None] = {each.id: each.numbers.get("stability") for each in taxonomy.skills}
    ways: Plain = taxonomy.numbers.get("clusterings", {})
    if cluster:
        stable = stability(built.assigned, taxonomy.clustering, embedder, seed=seed)
        ways = two_clusterings(built, embedder)
    by_skill = {
        skill.id: {**_of_skill(skill.id, rows, methods), "stability": stable.get(skill.id)} for skill in taxonomy.live
    }
    return replace(
        taxonomy,
        skills=tuple(replace(each, numbers=by_skill.get(each.id, {})) for each in taxonomy.skills),
        numbers={
            "methods": {each.name: _of_method(each, rows[each.name], built) for each in methods},
            "clusterings": ways,
            **(_compared(rows) if len(rows) > 1 else {}),
        },
    )


def two_clusterings(built: Built, embedder: Embedder) -> Plain:
    """Clusters of primitives, and the skills that they come to, under the clustering that was used and another one."""
    first = Counter(built.taxonomy.clustering[name] for name in built.assigned).most_common(1)[0][0]
    found = {}
    for how in (first, second_to(first)):
        clusters, left = under_another(built.assigned, embedder, how)
        found[how] = {"clusters": clusters, "skills": len(left)}
    return found


def plain(found: Estimate | Rate) -> Plain:
    """A number with its interval and its n."""
    return {"value": found.value, "interval": [found.low, found.high], "n": found.n}


def _of_method(method: Method, rows: Sequence[tuple[str, ...]], built: Built) -> Plain:
    own, images = needed(built.assigned[method.name]), [each.image for each in method.questions]
    places = [(each.image, each.text) for each in method.questions]
    return {
        "questions": len(places),
        "without_primitives": sum(place not in own for place in places),
        "other": sum(OTHER in own.get(place, ()) for place in places),
        "skills": plain(metrics.skills.number(rows, cluster=images)),
        "skills_at_all": len({skill for each in rows for skill in each}),
        "coverage": plain(metrics.skills.mean_coverage(rows, cluster=images)),
        "combinations": plain(
            metrics.at_equal_n(
                lambda some: float(metrics.skills.combinations(some)),
                rows,
                len(rows),
                cluster=images,
                bounds=(0, len(rows)),
            )
        ),
    }


def _of_skill(skill: str, rows: Mapping[str, Sequence[Collection[str]]], methods: Sequence[Method]) -> Plain:
    has = [
        (one.wrong, (each.name, one.image))
        for each in methods
        for one, skills in zip(each.questions, rows[each.name], strict=True)
        if skill in skills
    ]
    counts = {each.name: sum(skill in skills for skills in rows[each.name]) for each in methods}
    failures = metrics.rate([wrong for wrong, _ in has], cluster=[image for _, image in has]) if has else None
    return {"questions": counts, "failures": None if failures is None else plain(failures)}


def _compared(rows: Mapping[str, Sequence[Collection[str]]]) -> Plain:
    known = {name: metrics.skills.known_skills(each) for name, each in rows.items()}
    exclusive = metrics.skills.exclusive(known)
    return {
        "shared": sorted(metrics.skills.shared(known)),
        "exclusive": {name: sorted(skills) for name, skills in exclusive.items()},
    }
