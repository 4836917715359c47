"""Clusters of primitives: which method, what it promises, and what few texts come to."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from vlmprobe.models.embedder import shared_embedder
from vlmprobe.taxonomy import clusters
from vlmprobe.taxonomy.clusters import (
    FEW,
    centroids,
    clustered,
    method_for,
    nearest,
    second_to,
    topics_as_they_come,
    unit,
)  # fmt: skip
from vlmprobe.taxonomy.topics import counted, grouped, rows_of, spread
from vlmprobe.world.labeller import NAMES

TEXTS = [name for names in NAMES.values() for name in names]


def test_small_corpora_and_missing_packages_fall_back_to_agglomerative_clustering(monkeypatch):
    monkeypatch.setattr(clusters, "installed", lambda name: True)
    assert [method_for(n) for n in (1, 999, 1000)] == ["agglomerative", "agglomerative", "bertopic"]
    assert [method_for(n, "hdbscan") for n in (99, 100)] == ["agglomerative", "hdbscan"]
    monkeypatch.setattr(clusters, "installed", lambda name: False)
    assert method_for(10**6) == "agglomerative" and second_to("agglomerative") == "hdbscan"
    assert second_to("bertopic") == "agglomerative"
    with pytest.raises(ValueError, match=r"\[taxonomy\] clustering: expected one of auto, .*, got 'louvain'"):
        method_for(5, "louvain")


@pytest.mark.parametrize("method", ["agglomerative", "hdbscan"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 17, len(TEXTS)])
def test_any_number_of_texts_is_clustered_and_equally_each_time(method, count):
    rows = rows_of(TEXTS[:count], shared_embedder("hashed")) if count else np.zeros((0, 256))
    labels = clustered(TEXTS[:count], rows, method=method)
    assert labels == clustered(TEXTS[:count], rows, method=method) and len(labels) == count
    kept = [each for each in labels if each >= 0]
    assert list(dict.fromkeys(kept)) == list(range(len(set(kept))))  # numbered as they appear


def test_more_texts_than_a_clustering_takes_join_the_nearest_cluster(monkeypatch):
    rows = np.eye(3)[[0, 1, 0, 1, 1]]
    monkeypatch.setattr(clusters, "MOST", 2)
    assert clustered(list("abcde"), rows, method="agglomerative") == [0, 1, 0, 1, 1]


def test_means_have_unit_length_and_the_first_of_equal_ones_is_the_nearest():
    means = centroids(np.array([[2.0, 0.0], [0.0, 2.0], [1.0, -1.0]]), [0, 0, -1])
    assert means.tolist() == [[pytest.approx(2**-0.5)] * 2]
    places, cosines = nearest(np.array([[1.0, 0.0]]), np.array([[0.6, 0.8], [0.6, -0.8]]))
    assert places.tolist() == [0] and cosines.tolist() == [pytest.approx(0.6)]
    assert nearest(np.ones((2, 3)), np.zeros((0, 3)))[0].tolist() == [-1, -1]


def test_equal_primitives_are_one_text_with_a_count_and_rare_ones_no_topic():
    named = {(i, "q"): ("counting", "color") if i % 2 else ("counting",) for i in range(2000)}
    named[5000, "q"] = ("unheard of",)
    assert counted(named) == {"counting": 2000, "color": 1000, "unheard of": 1}
    groups = grouped(counted(named), shared_embedder("hashed"), clustering="auto")
    assert groups == [{"counting": 2000}, {"color": 1000}]  # one in 500 of 3001 is the least


def test_examples_are_taken_evenly():
    assert spread(list("abcdefgh"), 4) == list("aceg") and spread(list("ab"), 4) == list("ab")


@pytest.mark.peers("bertopic")
def test_bertopic_gives_the_same_topics_twice():
    texts = [f"{before} {name}" for before in ("simple", "careful") for name in TEXTS]
    rows = rows_of(texts, shared_embedder("hashed"))
    first = clustered(texts, rows, method="bertopic", seed=1)
    assert first == clustered(texts, rows, method="bertopic", seed=1) and len(set(first)) > 3


@pytest.mark.peers("bertopic")
def test_texts_go_into_the_topics_that_others_were_made_of():
    draw = np.random.default_rng(0)
    centres = unit(draw.normal(size=(3, 32)))

    def near(count):
        kinds = [i % 3 for i in range(count)]
        return kinds, unit(centres[kinds] + 0.05 * draw.normal(size=(count, 32)))

    kinds, rows = near(120)
    others, other_rows = near(30)
    names = ("red circle", "blue square", "green star")
    own, theirs = topics_as_they_come([names[i] for i in kinds], rows, [names[i] for i in others], other_rows)
    of_kind = dict(zip(kinds, own, strict=True))
    assert len(set(of_kind.values()) - {-1}) == 3
    assert sum(each == of_kind[kind] for each, kind in zip(theirs, others, strict=True)) >= 27
    assert topics_as_they_come(["a"] * (FEW - 1), rows[: FEW - 1], ["b"], rows[:1]) == ([-1] * (FEW - 1), [-1])


def test_bertopic_where_it_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "bertopic", None)
    with pytest.raises(ModuleNotFoundError, match="bertopic"):
        clustered(TEXTS, rows_of(TEXTS, shared_embedder("hashed")), method="bertopic")
