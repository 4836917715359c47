"""Texts that mean much the same, found by their embeddings: BERTopic for large corpora, agglomerative for small ones.

    agglomerative   average linkage on the cosine distance, cut at `DISTANCE`; any number of texts, no seed
    hdbscan         density on unit rows, the second opinion that a number of skills is shown with
    bertopic        UMAP with a fixed random state, then HDBSCAN; from `ENOUGH` texts on, where it is installed

Methods by density find nothing, or raise, in a few texts: below `LEAST` texts the first one takes their place.

The number of clusters may differ tenfold between methods, so nothing that is counted here is shown for one of them
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vlmprobe._util.optional import installed, require

Rows = np.ndarray
Labels = list[int]
"""[n] cluster of each text, from 0; -1 where it is in none."""

DISTANCE = 0.55
"""Cosine distance at which agglomerative clustering stops to join."""
ENOUGH = 1000
"""Distinct texts from which BERTopic is used by itself; in 1,000 short phrases it leaves 5 % without a cluster."""
LEAST = 100
"""Distinct texts that a method by density needs."""
FEW = 20
"""Texts that BERTopic's own settings need to find anything."""
MOST = 5000  # texts in one clustering; the others go to the nearest cluster
METHODS = ("auto", "agglomerative", "hdbscan", "bertopic")


def method_for(count: int, method: str = "auto") -> str:
    """The name of the clustering that is used for so many texts, where one of METHODS is asked for.

    Raises:
        ValueError: no such method.
    """
    if method not in METHODS:
        raise ValueError(f"[taxonomy] clustering: expected one of {', '.join(METHODS)}, got {method!r:.40}")
    if method == "auto":
        return "bertopic" if count >= ENOUGH and installed("bertopic") else "agglomerative"
    return method if count >= LEAST else "agglomerative"


def second_to(method: str) -> str:
    """The clustering that a first one is shown beside."""
    return "agglomerative" if method != "agglomerative" else "hdbscan"


def clustered(texts: Sequence[str], rows: Rows, *, method: str, seed: int = 0) -> Labels:
    """[n] the cluster of each text, in order of first appearance.

    Args:
        texts: [n] distinct, those that matter most first: only the first MOST make clusters, the others join the
            nearest one.
        rows: [n, dim] unit rows.
        method: `agglomerative`, `hdbscan` or `bertopic`.
        seed: of what is random in it.

    Raises:
        ModuleNotFoundError: scikit-learn or BERTopic is missing; names the extra.
    """
    if len(texts) < 2:
        return [0] * len(texts)
    labels = _METHODS[method](texts[:MOST], np.asarray(rows[:MOST], dtype=np.float64), seed)
    if len(texts) > MOST:
        labels = np.concatenate([labels, nearest(rows[MOST:], centroids(rows[:MOST], labels))[0]])
    names: dict[int, int] = {-1: -1}
    return [names.setdefault(int(label), len(names) - 1) for label in labels]


def centroids(rows: Rows, labels: Sequence[int] | Rows) -> Rows:
    """[clusters, dim] unit means of the clusters 0, 1, ...; a cluster without rows, or whose rows cancel, is 0."""
    numbers = np.asarray(labels)
    means = np.zeros((int(numbers.max(initial=-1)) + 1, rows.shape[1]))
    kept = numbers >= 0
    np.add.at(means, numbers[kept], rows[kept])
    return unit(means)


def unit(rows: Rows) -> Rows:
    """[n, dim] rows at unit length; 0 stays 0."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows, dtype=np.float64), where=norms > 0)


def nearest(rows: Rows, among: Rows) -> tuple[np.ndarray, np.ndarray]:
    """[n] place of the nearest unit row in `among`, the first of equal ones, and [n] the cosine to it; -1 and 0 where
    there is none."""
    if not len(among) or not len(rows):
        return np.full(len(rows), -1), np.zeros(len(rows))
    cosine = np.asarray(rows, dtype=np.float64) @ among.T
    best = np.round(cosine, 9).argmax(-1)  # equal ones differ by rounding
    return best, cosine[np.arange(len(rows)), best]


def _agglomerative(texts: Sequence[str], rows: Rows, seed: int) -> np.ndarray:
    cluster = require("sklearn.cluster", extra="topics")
    made = cluster.AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=DISTANCE
    )
    return np.asarray(made.fit_predict(rows))


def _hdbscan(texts: Sequence[str], rows: Rows, seed: int) -> np.ndarray:
    cluster = require("sklearn.cluster", extra="topics")
    if len(texts) < 5:
        return np.zeros(len(texts), dtype=int)
    made = cluster.HDBSCAN(min_cluster_size=_least(len(texts)), min_samples=1, copy=True)
    return np.asarray(made.fit_predict(rows))


def _bertopic(texts: Sequence[str], rows: Rows, seed: int) -> np.ndarray:
    bertopic, umap = require("bertopic", extra="topics"), require("umap", extra="topics")
    hdbscan = require("hdbscan", extra="topics")
    least = _least(len(texts))
    model = bertopic.BERTopic(
        embedding_model=None,
        umap_model=umap.UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed),
        hdbscan_model=hdbscan.HDBSCAN(min_cluster_size=least, metric="euclidean", prediction_data=False),
        calculate_probabilities=False,
        verbose=False,
    )
    labels, _ = model.fit_transform(list(texts), embeddings=rows.astype(np.float32))
    return np.asarray(labels)


def topics_as_they_come(
    texts: Sequence[str], rows: Rows, others: Sequence[str], other_rows: Rows, *, seed: int = 0
) -> tuple[Labels, Labels]:
    """BERTopic with its own settings, but for a fixed random state: the topic of each text that it is made of, and of
    each of some others. Fewer than `FEW` texts are in no topic.

    Args:
        texts: [n] that topics are made of; equal ones may come several times.
        rows: [n, dim] unit rows.
        others: [m] that are put into these topics.
        other_rows: [m, dim] unit rows.
        seed: of UMAP's random state.

    Raises:
        ModuleNotFoundError: BERTopic is missing; names the extra.
    """
    bertopic, umap = require("bertopic", extra="topics"), require("umap", extra="topics")
    if len(texts) < FEW or not others:
        return [-1] * len(texts), [-1] * len(others)
    near = umap.UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed)
    model = bertopic.BERTopic(embedding_model=None, umap_model=near, calculate_probabilities=False, verbose=False)
    labels, _ = model.fit_transform(list(texts), embeddings=rows.astype(np.float32))
    theirs, _ = model.transform(list(others), embeddings=other_rows.astype(np.float32))
    return [int(each) for each in labels], [int(each) for each in theirs]


def _least(count: int) -> int:
    """Texts in a cluster of a method by density."""
    return max(3, min(15, count // 100))


_METHODS: dict[str, Callable[[Sequence[str], Rows, int], np.ndarray]] = {
    "agglomerative": _agglomerative,
    "hdbscan": _hdbscan,
    "bertopic": _bertopic,
}
