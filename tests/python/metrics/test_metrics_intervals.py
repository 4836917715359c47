"""Intervals of what is no rate: means, agreement of annotators, diversity at equal n."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from vlmprobe import metrics
from vlmprobe.metrics.estimate import widening


def test_a_mean_is_that_of_what_has_a_value():
    found = metrics.mean([2.0, None, 4.0, 9.0], cluster=["x", "x", "x", "y"])
    assert (found.value, found.n, found.n_unscored, found.clusters) == (5.0, 3, 1, 2)
    assert found == metrics.mean([2.0, None, 4.0, 9.0], cluster=["x", "x", "x", "y"])
    alone = metrics.mean([1.0, 2.0], cluster=["x", "x"])
    assert (alone.value, alone.low, alone.high) == (1.5, -math.inf, math.inf)
    assert math.isnan(metrics.mean([None], cluster=["x"]).value)


def test_intervals_of_means_cover():
    generator, covered, runs = np.random.default_rng(1), 0, 1000
    image = np.repeat(np.arange(50), 4).tolist()
    for run in range(runs):
        values = generator.exponential(1.0, 50)[:, None] + generator.exponential(1.0, (50, 4))  # mean 2, skewed
        found = metrics.mean(values.ravel().tolist(), cluster=image, draws=400, seed=run)
        covered += found.low <= 2 <= found.high
    print(f"coverage {covered / runs}")
    assert 0.92 <= covered / runs <= 0.97


def test_a_difference_of_means_is_paired_by_image():
    hard = np.random.default_rng(2).uniform(0, 10, 40)
    a, b = (hard + 0.5 + np.tile([0.1, -0.1], 20)).tolist(), hard.tolist()
    found = metrics.mean_difference(a, b, cluster_a=range(40), cluster_b=range(40), draws=1000)
    assert found.value == pytest.approx(0.5) and found.high - found.low < 0.1 and found.p < 0.01
    rates = metrics.paired_difference([True, False], [False, False], cluster_a="xy", cluster_b="xy", draws=200)
    means = metrics.mean_difference([1, 0], [0, 0], cluster_a="xy", cluster_b="xy", draws=200)
    assert means.value == rates.value and means.p == rates.p


def test_the_widening_is_that_of_the_core():
    expected = math.sqrt(60 / 59) * stats.t.ppf(0.975, 59) / stats.norm.ppf(0.975)
    assert widening(60, 0.95) == pytest.approx(expected, rel=1e-9)


def rated(generator, *, items=300, annotators=5, missing=0.2, right=0.8):
    truth = generator.random(items) < 0.4
    given = np.where(generator.random((items, annotators)) < right, truth[:, None], ~truth[:, None])
    gone = generator.random((items, annotators)) < missing
    return [[None if lost else bool(x) for x, lost in zip(*row, strict=True)] for row in zip(given, gone, strict=True)]


def test_agreement_with_intervals_has_the_values_of_the_single_functions():
    items = rated(np.random.default_rng(3))
    found = metrics.annotator_agreement(items, cluster=[i // 3 for i in range(300)], draws=500)
    assert found.alpha.value == pytest.approx(metrics.krippendorff_alpha(items)) and found.kappa is None
    assert found.alpha.low < found.alpha.value < found.alpha.high
    pairs = [item[:2] for item in items]
    two = metrics.annotator_agreement(pairs, cluster=range(300), draws=500)
    first, second = zip(*pairs, strict=True)
    assert two.share.value == pytest.approx(metrics.percent_agreement(first, second))
    assert two.kappa.value == pytest.approx(metrics.cohen_kappa(first, second))
    assert two.alpha.value == pytest.approx(metrics.krippendorff_alpha(pairs))
    assert two.kappa.n + two.kappa.n_unscored == 300 and two.kappa.n == sum(None not in pair for pair in pairs)


def test_agreement_without_ratings_or_without_choice_is_nan():
    nothing = metrics.annotator_agreement([[None, 1], [1, None]], cluster="ab")
    assert math.isnan(nothing.share.value) and nothing.share.n_unscored == 2
    same = metrics.annotator_agreement([[1, 1], [1, 1]], cluster="ab")
    assert same.share.value == 1 and math.isnan(same.kappa.value) and math.isnan(same.alpha.value)
    assert (same.kappa.low, same.kappa.high) == (-1, 1)


@pytest.mark.peers("statsmodels")
def test_kappas_are_those_of_statsmodels():
    from statsmodels.stats.inter_rater import cohens_kappa, to_table

    items = np.array(rated(np.random.default_rng(4), annotators=2, missing=0.0), dtype=int)
    peer = cohens_kappa(to_table(items)[0])
    assert metrics.cohen_kappa(*items.T.tolist()) == pytest.approx(peer.kappa)
    ours = metrics.annotator_agreement(items.tolist(), cluster=range(300)).kappa
    assert (ours.low, ours.high) == pytest.approx((peer.kappa_low, peer.kappa_upp), abs=0.02)


def test_rows_at_equal_n_are_a_seeded_choice():
    assert metrics.equal_rows(5, 5, seed=3) == [0, 1, 2, 3, 4]
    chosen = metrics.equal_rows(1000, 100, seed=3)
    assert chosen == metrics.equal_rows(1000, 100, seed=3) != metrics.equal_rows(1000, 100, seed=4)
    assert len(set(chosen)) == 100 and chosen == sorted(chosen) and 400 < np.mean(chosen) < 600


def test_entropy_at_equal_n_by_hand():
    # 4 texts of 2 kinds, a group for each of 4 images: without one text H is that of 1/3, 2/3, four times the same.
    found = metrics.at_equal_n(metrics.entropy, list("aabb"), 4, cluster=list("wxyz"))
    assert found.value == pytest.approx(math.log(2)) and (found.low, found.high) == (-math.inf, math.inf)
    within = metrics.at_equal_n(metrics.entropy, list("aabb"), 4, cluster=list("wxyz"), bounds=(0, math.log(4)))
    assert (within.low, within.high) == (0, math.log(4))
    # Kinds a, a, a, b: without an a H(1/3), three times; without b 0. Deviations from the mean 3/4 H: H/4, 3/4 H.
    lopsided = metrics.at_equal_n(metrics.entropy, list("aaab"), 4, cluster=list("wxyz"))
    h = math.log(3) - 2 / 3 * math.log(2)
    deviation = math.sqrt(3 / 4 * (3 * (h / 4) ** 2 + (3 * h / 4) ** 2))
    assert lopsided.high - lopsided.value == pytest.approx(metrics.t_quantile(0.975, df=3) * deviation)


def test_diversity_at_equal_n_compares_what_is_compared_at_equal_n():
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(2000, 64, generator=generator), dim=1)
    image = [i // 4 for i in range(2000)]
    few, many = (metrics.vendi_at(rows[:n], 500, cluster=image[:n]) for n in (500, 2000))
    assert few.value == pytest.approx(metrics.vendi(rows[:500]))
    assert few.low < many.value < few.high and few.n == many.n == 500
    assert metrics.vendi(rows) > many.high  # what a larger n does by itself


@pytest.mark.parametrize("measure", ["entropy", "vendi"])
def test_intervals_at_equal_n_cover(measure):
    """Kinds of questions that go together in an image; the truth is the mean over many runs at that n."""
    generator, runs = np.random.default_rng(6), 300
    vectors = torch.nn.functional.normalize(torch.randn(12, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    found = []
    for _ in range(runs):
        likely = generator.dirichlet(np.linspace(0.2, 1.5, 12), size=60)
        kinds = np.concatenate([generator.choice(12, 5, p=p) for p in likely])
        rows = kinds.tolist() if measure == "entropy" else vectors[torch.from_numpy(kinds)]
        found.append(
            metrics.at_equal_n(getattr(metrics, measure), rows, 200, cluster=np.repeat(np.arange(60), 5).tolist())
        )
    truth = np.mean([each.value for each in found])
    covered = np.mean([each.low <= truth <= each.high for each in found])
    print(f"{measure}: {truth:.3f}, coverage {covered:.3f}, width {np.mean([e.high - e.low for e in found]):.3f}")
    assert 0.9 <= covered <= 0.99


def test_prefix_entropy_at_equal_n_is_that_of_the_chosen_texts():
    texts = [f"what {i % 7} is it" for i in range(90)]
    found = metrics.prefix_entropy_at(texts, 40, cluster=range(90), seed=2)
    chosen = [texts[i] for i in metrics.equal_rows(90, 40, seed=2)]
    assert found.value == pytest.approx(metrics.prefix_entropy(chosen))
    normalized = metrics.prefix_entropy_at(texts, 40, cluster=range(90), seed=2, normalized=True)
    assert normalized.value == pytest.approx(metrics.prefix_entropy_normalized(chosen))


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: metrics.equal_rows(3, 4), "n: expected at most 3, the number of rows, got 4"),
        (lambda: metrics.equal_rows(3, 0), "n: expected at least 1, got 0"),
        (lambda: metrics.at_equal_n(metrics.entropy, "ab", 1, cluster=[1]), "cluster: expected 2 rows, got 1"),
        (lambda: metrics.at_equal_n(metrics.entropy, "ab", 1, cluster="ab", groups=1), "groups: expected at least 2"),
        (lambda: metrics.annotator_agreement([[1, 2], [1]], cluster="ab"), "ratings: expected items of as many"),
        (lambda: metrics.annotator_agreement([[1, 2]], cluster="ab"), "cluster: expected 1 rows, got 2"),
        (lambda: metrics.mean([1.0], cluster=[]), "cluster: expected 1 rows, got 0"),
        (lambda: metrics.mean([math.nan, 1], cluster=[1, 2]), "sums: cluster 0: expected a finite sum over a total"),
        (lambda: metrics.mean_difference([1], [1], cluster_a=[1], cluster_b=[]), "cluster_b: expected 1 rows, got 0"),
    ],
)  # fmt: skip
def test_wrong_input_is_named(call, text):
    with pytest.raises(ValueError, match=r"^\[metrics::\w+\] " + text):
        call()
