"""Stage 2: primitives that mean much the same, method by method; a model names each group.

Equal primitives of a method are one text with a count. The texts are embedded and clustered
(`vlmprobe.taxonomy.clusters`); clusters that few questions have are left to `other`, so that the number of topics, and
with it the cost of all that follows, has a bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlmprobe.models.protocols import Embedder
from vlmprobe.taxonomy.asking import Labeller, Prompt
from vlmprobe.taxonomy.clusters import clustered, method_for
from vlmprobe.taxonomy.primitives import Named

MOST_TOPICS = 100
RARE = 500  # a topic has at least one in so many of the primitives that were named
SHOWN = 24  # primitives and questions that the labeller sees
LONGEST_LABEL = 60


@dataclass(frozen=True, kw_only=True)
class Topic:
    """Primitives that were found to belong together."""

    id: str
    """`t` and a number."""
    method: str
    label: str
    primitives: Mapping[str, int]
    """Text -> how many questions it was named for; the most frequent first."""

    @property
    def count(self) -> int:
        """Questions, once for each of the primitives that they have."""
        return sum(self.primitives.values())


def counted(named: Named) -> dict[str, int]:
    """How many questions each primitive was named for, the most frequent first, then by name."""
    counts = Counter(skill for skills in named.values() for skill in skills)
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def topics(
    method: str,
    named: Named,
    embedder: Embedder,
    labeller: Labeller,
    *,
    first: int = 1,
    clustering: str = "auto",
    seed: int = 0,
) -> list[Topic]:
    """The topics of a method, the largest first. A topic that the labeller could not name has its most frequent
    primitive for a label.

    Args:
        method: its name.
        named: the primitives of its questions.
        embedder: of the primitives.
        labeller: who names the topics.
        first: number of the first topic.
        clustering: one of `clusters.METHODS`.
        seed: of the clustering.

    Raises:
        Unserved, BudgetSpent: as `Labeller.ask`.
    """
    groups = grouped(counted(named), embedder, clustering=clustering, seed=seed)
    prompts = [Prompt(_asked(labeller, group, _examples(named, group))) for group in groups]
    labels = labeller.ask("topics", prompts, lambda i, reply: read_label(reply))
    return [
        Topic(id=f"t{first + i}", method=method, label=label or next(iter(group)), primitives=group)
        for i, (group, label) in enumerate(zip(groups, labels, strict=True))
    ]


def grouped(counts: Mapping[str, int], embedder: Embedder, *, clustering: str, seed: int = 0) -> list[dict[str, int]]:
    """The clusters of primitives that are frequent enough, the largest first, at most MOST_TOPICS."""
    texts = list(counts)
    labels = clustered(texts, rows_of(texts, embedder), method=method_for(len(texts), clustering), seed=seed)
    groups: dict[int, dict[str, int]] = {}
    for text, label in zip(texts, labels, strict=True):
        if label >= 0:
            groups.setdefault(label, {})[text] = counts[text]
    least = sum(counts.values()) / RARE
    frequent = [group for group in groups.values() if sum(group.values()) >= least]
    return sorted(frequent, key=lambda group: (-sum(group.values()), next(iter(group))))[:MOST_TOPICS]


def rows_of(texts: Iterable[str], embedder: Embedder) -> np.ndarray:
    """[n, dim] embeddings of texts, float64."""
    return embedder(list(texts)).numpy().astype(np.float64)


def read_label(reply: Mapping[str, Any]) -> str:
    """The label in a reply.

    Raises:
        ValueError: none, or no short text.
    """
    return checked_label("label", reply.get("label"))


def checked_label(name: str, value: Any) -> str:
    """A label of a few words, with single blanks.

    Raises:
        ValueError: it is none.
    """
    label = " ".join(value.split()) if isinstance(value, str) else ""
    if not label or len(label) > LONGEST_LABEL:
        raise ValueError(f"{name}: expected a label of a few words, got {value!r:.80}")
    return label


def spread(items: Sequence[str], most: int) -> list[str]:
    """At most so many of the items, evenly from their whole length."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]


def _examples(named: Named, group: Mapping[str, int]) -> list[str]:
    return spread(list(dict.fromkeys(text for (_, text), skills in named.items() if group.keys() & skills)), SHOWN)


def _asked(labeller: Labeller, group: Mapping[str, int], examples: Sequence[str]) -> str:
    return labeller.prompts.render("topic_label", primitives=list(group)[:SHOWN], questions=examples)
