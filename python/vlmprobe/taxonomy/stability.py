"""How much of a taxonomy hangs on the clustering: a bootstrap for each skill, and a second clustering beside the first.

A skill is made of the primitives that its topics list. Its stability is the mean, over draws of pictures with
replacement, of

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
from vlmprobe.taxonomy.clusters import clustered
from vlmprobe.taxonomy.document import Taxonomy
from vlmprobe.taxonomy.primitives import Named
from vlmprobe.taxonomy.topics import counted, rows_of

DRAWS = 20
MOST = 1000
"""Primitives that a draw clusters at most, the most frequent of it."""


def stability(taxonomy: Taxonomy, named: Mapping[str, Named], embedder: Embedder, *, seed: int = 0) -> dict[str, float]:
    """Skill -> its stability in [0, 1], over the methods that have it; skills that no draw held are not in it.

    Args:
        taxonomy: with the topics of these methods.
        named: method -> the primitives of its questions.
        embedder: of the primitives.
        seed: of the draws.
    """
    found: dict[str, list[float]] = {}
    for method, words in named.items():
        skill_of = skills_of_primitives(taxonomy, method)
        how = taxonomy.clustering.get(method, "agglomerative")
        for draw in range(DRAWS):
            texts = list(counted(_drawn(words, np.random.default_rng([seed, draw]))))[:MOST]
            labels = clustered(texts, rows_of(texts, embedder), method=how, seed=seed)
            for skill, share in _overlaps(texts, labels, skill_of).items():
                found.setdefault(skill, []).append(share)
    return {skill: fmean(shares) for skill, shares in found.items()}


def skills_of_primitives(taxonomy: Taxonomy, method: str) -> dict[str, str]:
    """The skill that each primitive of a method's topics stands for; of a topic that was split, the first."""
    book = taxonomy.book()
    own = [topic for topic in taxonomy.topics if topic.method == method]
    return {text: book.root(topic.skills[0]) for topic in own for text in topic.primitives}


def under_another(taxonomy: Taxonomy, named: Mapping[str, Named], embedder: Embedder, how: str) -> tuple[int, set[str]]:
    """The clusters, and the skills that would be left, had the primitives been clustered in another way: each cluster
    is the skill that most of it was named for.

    Args:
        taxonomy: with the topics of these methods.
        named: method -> the primitives of its questions.
        embedder: of the primitives.
        how: one of `clusters.METHODS`.
    """
    clusters, left = 0, set[str]()
    for method, words in named.items():
        counts, skill_of = counted(words), skills_of_primitives(taxonomy, method)
        texts = list(counts)
        labels = clustered(texts, rows_of(texts, embedder), method=how)
        votes: dict[int, Counter[str]] = {}
        for text, label in zip(texts, labels, strict=True):
            if label >= 0 and text in skill_of:
                votes.setdefault(label, Counter())[skill_of[text]] += counts[text]
        clusters += len(set(labels) - {-1})
        left |= {min(each, key=lambda skill: (-each[skill], skill)) for each in votes.values()}
    return clusters, left


def _drawn(named: Named, draw: np.random.Generator) -> Named:
    """The questions of as many pictures as there are, drawn with replacement; each picture once."""
    images = sorted({image for image, _ in named})
    kept = {images[place] for place in draw.integers(len(images), size=len(images))}
    return {place: words for place, words in named.items() if place[0] in kept}


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
            union.setdefault(min(counts, key=lambda skill: (-counts[skill], skill)), set()).update(cluster)
    return {
        skill: len(texts_of & union.get(skill, set())) / len(texts_of | union.get(skill, set()))
        for skill, texts_of in own.items()
    }
