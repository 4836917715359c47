"""The face of the metrics: against scipy, numpy and plain arithmetic."""

import doctest
import importlib
import math
import sys
import types

import numpy
import pytest
import torch
from scipy import stats

from vlmprobe import metrics


def unit_rows(n: int, d: int, seed: int = 0) -> torch.Tensor:
    rows = torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rows / rows.norm(dim=1, keepdim=True)


def error(call) -> str:
    with pytest.raises(ValueError) as caught:
        call()
    return str(caught.value)


def test_examples_in_the_docstrings_run():
    names = ("agreement", "annotators", "diversity", "equal_n", "judged", "rates", "resampling", "skills", "trends")
    results = [doctest.testmod(importlib.import_module(f"vlmprobe.metrics.{name}")) for name in names]
    assert min(result.attempted for result in results) >= 1 and sum(result.attempted for result in results) >= 28
    assert sum(result.failed for result in results) == 0


@pytest.mark.parametrize("p", [1e-6, 0.025, 0.3, 0.75, 0.975, 0.999999])
def test_t_quantiles_equal_scipys(p):
    for df in (0.5, 1, 2, 3, 7.5, 30, 511, 1e4, 1e6):
        assert metrics.t_quantile(p, df=df) == pytest.approx(stats.t.ppf(p, df), rel=1e-9)


def test_rate_prints_its_interval_and_its_n():
    result = metrics.rate([i % 21 < 10 for i in range(1536)], cluster=list(range(1536)))
    assert str(result) == "0.477 [0.452, 0.502] n=1536"
    assert str(metrics.rate([], cluster=[])) == "nan [0.000, 1.000] n=0"


def test_rate_with_single_rows_is_wilsons_interval_with_a_t_quantile():
    result = metrics.rate([True] * 30 + [False] * 70, cluster=range(100))
    t = stats.t.ppf(0.975, 99)
    centre, half = (0.3 + t**2 / 200) / (1 + t**2 / 100), t / (1 + t**2 / 100) * math.sqrt(0.21 / 100 + t**2 / 40000)
    assert (result.low, result.high) == pytest.approx((centre - half, centre + half), rel=1e-9)
    assert result.design_effect == 1 and result.n_effective == 100


def test_rate_takes_none_for_unscored_and_any_label_for_a_cluster():
    values, images = [True, None, False, True, None], ["a.jpg", "a.jpg", "b.jpg", ("c", 1), "d.jpg"]
    result = metrics.rate(values, cluster=images)
    as_tensors = metrics.rate(torch.tensor([1, -1, 0, 1, -1], dtype=torch.int8), cluster=torch.tensor([0, 0, 1, 2, 3]))
    assert result == as_tensors
    assert (result.n, result.n_unscored, result.clusters) == (3, 2, 3)


def test_rate_widens_with_clusters():
    draw = numpy.random.default_rng(0)
    wrong = numpy.repeat(draw.random(100) < 0.3, 5)
    clustered = metrics.rate(wrong.tolist(), cluster=numpy.repeat(numpy.arange(100), 5).tolist())
    naive = metrics.rate(wrong.tolist(), cluster=range(500))
    assert clustered.design_effect == pytest.approx(5, rel=0.05)
    assert clustered.high - clustered.low > 2 * (naive.high - naive.low)


def test_vendi_equals_numpys_eigenvalues_in_both_forms():
    for n, d in ((20, 7), (7, 20), (384, 384)):
        rows = unit_rows(n, d)
        values = numpy.linalg.eigvalsh((rows @ rows.T / n).numpy())
        values = values[values > 1e-15]
        assert metrics.vendi(rows) == pytest.approx(math.exp(-(values * numpy.log(values)).sum()), rel=1e-9)


def test_vendi_accumulators_equal_the_whole():
    rows = unit_rows(50, 16, seed=2)
    left, right = metrics.VendiAccumulator(16), metrics.VendiAccumulator(16)
    left.add(rows[:20])
    right.add(rows[20:])
    received = metrics.VendiAccumulator(16)
    received.merge_moment(left.moment, count=left.count)
    received.merge(right)
    assert received.count == 50 and repr(received) == "VendiAccumulator(dimension=16, count=50)"
    assert received.value() == pytest.approx(metrics.vendi(rows), rel=1e-9)


def test_entropies_and_duplicates():
    labels = ["count", "count", "colour", ("relation", "left")]
    assert metrics.entropy(labels) == pytest.approx(1.5 * math.log(2))
    assert metrics.effective_number(labels) == pytest.approx(2**1.5)
    assert metrics.duplicates(["a", "b", "a", "A"]) == 0.25
    assert metrics.duplicates(["ab", "a\u200bb", "\ufeffab", "a\u3164b"]) == 0.75  # what nobody sees is no difference
    for measure in (metrics.entropy, metrics.effective_number, metrics.duplicates):
        assert math.isnan(measure([]))


@pytest.fixture
def first_words(monkeypatch):
    """Stands in for vlmprobe.text, so that these tests are about the entropy and not about cutting words."""
    text = types.ModuleType("vlmprobe.text")
    text.prefixes = lambda questions, *, length: [" ".join(each.lower().split()[:length]) for each in questions]
    monkeypatch.setitem(sys.modules, "vlmprobe.text", text)
    monkeypatch.setattr(sys.modules["vlmprobe"], "text", text, raising=False)


def test_prefix_entropy_is_over_the_first_words(first_words):
    texts = ["What is this?", "What is that?", "How many cats?", "How come it fell?"]
    assert metrics.prefix_entropy(texts) == pytest.approx(1.5 * math.log(2))
    assert metrics.prefix_entropy(texts, length=1) == pytest.approx(math.log(2))
    assert metrics.prefix_entropy_normalized(texts) == pytest.approx(0.75)
    assert metrics.prefix_entropy_normalized(texts, length=3) == 1
    assert math.isnan(metrics.prefix_entropy([])) and math.isnan(metrics.prefix_entropy_normalized(texts[:1]))


def test_errors_are_value_errors_in_the_house_wording():
    assert error(lambda: metrics.rate([True, 2], cluster=[0, 1])) == (
        "[metrics::rate] successes: expected True, False or None (unscored), got 2"
    )
    assert error(lambda: metrics.rate([True], cluster=[0, 1])) == (
        "[metrics::rate] cluster: expected shape [N], got [2] (N=1 was set by successes)"
    )
    assert error(lambda: metrics.rate([True], cluster=[0], confidence=95)) == (
        "[metrics::rate] confidence must be in (0, 1), got 95"
    )
    assert error(lambda: metrics.vendi(torch.full((2, 2), math.inf))) == (
        "[metrics::vendi] embeddings: row 0 is not finite"
    )
    assert error(lambda: metrics.VendiAccumulator(0)) == (
        "[metrics::VendiAccumulator] dimension must be at least 1, got 0"
    )


@pytest.mark.peers("vendi_score")
def test_vendi_is_the_peers_dual_score_to_1e_8():
    from vendi_score import vendi as peer

    rows = torch.nn.functional.normalize(torch.randn(9000, 130, generator=torch.Generator().manual_seed(3)), dim=1)
    accumulator = metrics.VendiAccumulator(130)
    for part in rows.split(700):
        accumulator.add(part)
    expected = peer.score_dual(rows.double().numpy())
    assert metrics.vendi(rows) == pytest.approx(expected, rel=1e-8)
    assert accumulator.value() == pytest.approx(expected, rel=1e-8)
