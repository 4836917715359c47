"""How much of a taxonomy hangs on the clustering: a bootstrap for each skill, and a second clustering beside the first.

A primitive belongs to the skill that most of its questions need. A skill's stability is the mean, over draws of
pictures with replacement, of

    J = |S and U| / |S or U|    S: its primitives in the draw; U: the union of the draw's clusters that S has most of

so 1 says that the same primitives come together whatever pictures are drawn. What the model did to the topics is held
as it is, and no call is spent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from vlmprobe.models.protocols import Embedder
from vlmprobe.taxonomy.assign import OTHER, Assigned
from vlmprobe.taxonomy.clusters import clustered
from vlmprobe.taxonomy.topics import counted, rows_of

DRAWS = 20
MOST = 1000
"""Primitives that a draw clusters at most, the most frequent of it."""


def stability(
    found: Mapping[str, Assigned], clustering: Mapping[str, str], embedder: Embedder, *, seed: int = 0
) -> dict[str, float]:
    """Skill -> its stability in [0, 1], over the methods that have it; skills that no draw held are not in it.

    Args:
        found: method -> the skill of each primitive of its questions.
        clustering: method -> how its primitives are clustered.
        embedder: of the primitives.
        seed: of the draws.
    """
    shares: dict[str, list[float]] = {}
    for method, rows in found.items():
        skill_of = skills_of_primitives(rows)
        for draw in range(DRAWS):
            texts = list(_counted(_drawn(rows, np.random.default_rng([seed, draw]))))[:MOST]
            labels = clustered(texts, rows_of(texts, embedder), method=clustering[method], seed=seed)
            for skill, share in _overlaps(texts, labels, skill_of).items():
                shares.setdefault(skill, []).append(share)
    return {skill: fmean(each) for skill, each in shares.items()}


def skills_of_primitives(rows: Assigned) -> dict[str, str]:
    """The skill that most questions with a primitive need it for; the first by name of equal ones."""
    votes: dict[str, Counter[str]] = {}
    for each in rows.values():
        for primitive, skill in each:
            if skill is not None and skill != OTHER:
                votes.setdefault(primitive, Counter())[skill] += 1
    return {primitive: _most(counts) for primitive, counts in votes.items()}


def under_another(found: Mapping[str, Assigned], embedder: Embedder, how: str) -> tuple[int, set[str]]:
    """The clusters, and the skills that would be left, were the primitives clustered in a stated way: each cluster is
    the skill that most of it was named for.

    Args:
        found: method -> the skill of each primitive of its questions.
        embedder: of the primitives.
        how: one of `clusters.METHODS`.
    """
    clusters, left = 0, set[str]()
    for rows in found.values():
        counts, skill_of = _counted(rows), skills_of_primitives(rows)
        texts = list(counts)
        labels = clustered(texts, rows_of(texts, embedder), method=how)
        votes: dict[int, Counter[str]] = {}
        for text, label in zip(texts, labels, strict=True):
            if label >= 0 and text in skill_of:
                votes.setdefault(label, Counter())[skill_of[text]] += counts[text]
        clusters += len(set(labels) - {-1})
        left |= set(map(_most, votes.values()))
    return clusters, left


def _counted(rows: Assigned) -> dict[str, int]:
    """How many questions have a primitive, the most frequent first."""
    return counted({place: tuple(primitive for primitive, _ in each) for place, each in rows.items()})


def _most(counts: Counter[str]) -> str:
    return min(counts, key=lambda skill: (-counts[skill], skill))


def _drawn(rows: Assigned, draw: np.random.Generator) -> Assigned:
    """The questions of as many pictures as there are, drawn with replacement; each picture once."""
    images = sorted({image for image, _ in rows})
    kept = {images[place] for place in draw.integers(len(images), size=len(images))}
    return {place: each for place, each in rows.items() if place[0] in kept}


def _overlaps(texts: Sequence[str], labels: Sequence[int], skill_of: Mapping[str, str]) -> dict[str, float]:
    """Skill -> how much of it and of the clusters that it has most of is the same."""
    members: dict[int, list[str]] = {}
    for text, label in zip(texts, labels, strict=True):
        if label >= 0:
            members.setdefault(label, []).append(text)
    own: dict[str, set[str]] = {}
    for text in texts:
        if text in skill_of:
            own.setdefault(skill_of[text], set()).add(text)
    union: dict[str, set[str]] = {}
    for cluster in members.values():
        counts = Counter(skill_of[text] for text in cluster if text in skill_of)
        if counts:
            union.setdefault(_most(counts), set()).update(cluster)
    shared = {skill: (each, union.get(skill, set())) for skill, each in own.items()}
    return {skill: len(each & other) / len(each | other) for skill, (each, other) in shared.items()}
