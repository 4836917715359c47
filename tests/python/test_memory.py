import copy

import numpy as np
import pytest
import torch

from vlmprobe import _core, memory
from vlmprobe.text import parse_responses


def unit_rows(count, dim, seed):
    rows = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


def batch(count, seed, dim=8):
    draw = np.random.default_rng(seed)
    return {
        "image": draw.integers(0, 3, count),
        "embeddings": unit_rows(count, dim, seed),
        "texts": [f"{draw.choice(['How many', 'Is the'])} {i}" for i in range(count)],
        "sequence": list(range(count)),
        "slot": torch.zeros(count, dtype=torch.int32),
    }


@pytest.mark.parametrize("backend", ["native", "aten", *(["faiss"] if _core.has_faiss() else [])])
def test_bank_finds_what_a_product_finds(backend):
    bank = memory.EmbeddingBank(16, backend=backend)
    rows, queries = unit_rows(400, 16, 1), unit_rows(7, 16, 2)
    bank.add(rows[:100]), bank.add(rows[100:])
    found = bank.nearest(queries, k=3)
    score, place = (queries.double() @ rows.double().T).topk(3)
    assert torch.equal(found.id, place)
    torch.testing.assert_close(found.score, score, rtol=0, atol=1e-12)
    assert repr(bank) == f"EmbeddingBank(400 rows, dim=16, backend='{backend}')"


def test_two_phases():
    store = memory.QuestionMemory(8)
    past, now = batch(20, 3), batch(10, 4)
    first = store.novelty(**now)
    assert first.semantic.tolist() == [1.0] * 10 and first.lexical.tolist() == [1.0] * 10
    assert store.commit("run", step=0, **past) == 20
    assert store.commit("run", step=0, **past) == 0
    novelty = store.novelty(now["image"], embeddings=now["embeddings"], texts=now["texts"])
    for q in range(10):
        same = torch.from_numpy(past["image"] == now["image"][q])
        cosine = (past["embeddings"][same].double() @ now["embeddings"][q].double()).max().item()
        count = sum(text[:6] == now["texts"][q][:6] for text in past["texts"])
        assert novelty.semantic[q].item() == pytest.approx(min(1.0, 1 - cosine), abs=1e-12)
        assert novelty.lexical[q].item() == 1 / (1 + count)
    assert len(store) == 20 and store.images == 3 and store.bytes > 20 * 8 * 4
    assert sum(store.prefix_counts.values()) == 20
    assert repr(store) == "QuestionMemory(20 questions, 3 images, dim=8)"


def test_within_counts_earlier_questions_of_the_batch():
    store = memory.QuestionMemory(2)
    rows = {"image": [1, 1, 1], "embeddings": torch.tensor([[1.0, 0.0]] * 3), "texts": ["How many?"] * 3}
    keys = {"sequence": [0, 0, 1], "slot": [0, 1, 0]}
    assert store.novelty(**rows).lexical.tolist() == [1, 1, 1]
    assert store.novelty(**rows, **keys, within="sequence").lexical.tolist() == [1, 1 / 2, 1]
    step = store.novelty(**rows, **keys, within="step")
    assert step.lexical.tolist() == [1, 1 / 2, 1 / 3] and step.semantic.tolist() == [1, 0, 0]


def test_saved_memory_comes_back_bit_for_bit(tmp_path):
    store, now = memory.QuestionMemory(8, prefix_length=3), batch(10, 6)
    store.commit("run", step=0, **batch(50, 5))
    store.save(tmp_path / "new" / "folder")
    loaded = memory.QuestionMemory.load(tmp_path / "new" / "folder")
    for a, b in zip(vars(store.novelty(**now)).values(), vars(loaded.novelty(**now)).values(), strict=True):
        assert torch.equal(a, b)
    assert loaded.prefix_counts == store.prefix_counts
    assert loaded.commit("run", step=0, **batch(50, 5)) == 0


def test_other_tools_can_read_the_file(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    store, past = memory.QuestionMemory(8), batch(5, 7)
    store.commit("run", step=4, **past)
    store.save(tmp_path)
    tensors = safetensors.load_file(tmp_path / "memory.safetensors")
    assert torch.equal(tensors["embeddings"], past["embeddings"])
    assert tensors["image"].tolist() == past["image"].tolist()
    assert tensors["keys"].tolist() == [[0, 4, i, 0] for i in range(5)]


def test_wrong_input_is_named(tmp_path):
    store, rows = memory.QuestionMemory(8), batch(3, 8)
    with pytest.raises(
        ValueError, match=r"\[memory::novelty\] within: expected one of none, sequence, step, got 'group'"
    ):
        store.novelty(**rows, within="group")
    with pytest.raises(
        ValueError, match=r"\[memory::EmbeddingBank\] backend: expected one of automatic, native, faiss, aten, got 'f'"
    ):
        memory.EmbeddingBank(8, backend="f")
    with pytest.raises(ValueError, match=r"\[memory::novelty\] image: expected int64, got Float"):
        store.novelty(**rows | {"image": [0.5, 1.0, 2.0]})
    with pytest.raises(ValueError, match=r"\[memory::novelty\] embeddings: row 2 is not finite"):
        store.novelty(**rows | {"embeddings": rows["embeddings"] * torch.tensor([[1.0], [1.0], [float("nan")]])})
    with pytest.raises(
        ValueError, match=r"\[memory::load\] directory: expected one that holds memory.safetensors, got "
    ):
        memory.QuestionMemory.load(tmp_path)
    (tmp_path / "memory.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ValueError, match=r"\[memory::load\] .*memory.safetensors: expected a "):
        memory.QuestionMemory.load(tmp_path)


def test_nearest_questions_of_an_image():
    store, past, now = memory.QuestionMemory(8), batch(60, 9), batch(6, 10)
    store.commit("run", step=0, **past)
    found = store.nearest(now["image"], embeddings=now["embeddings"], k=2)
    for q in range(6):
        rows = past["embeddings"][torch.from_numpy(past["image"] == now["image"][q])]
        score, place = (rows.double() @ now["embeddings"][q].double()).topk(2)
        assert found.id[q].tolist() == place.tolist()
        torch.testing.assert_close(found.score[q], score, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"\[memory::nearest\] image: row 1: expected an image with questions, got 9"):
        store.nearest([0, 9], embeddings=now["embeddings"][:2], k=1)
    with pytest.raises(ValueError, match=r"\[memory::nearest\] k: expected at most \d+ \(rows stored\), got 61"):
        store.nearest([0], embeddings=now["embeddings"][:1], k=61)


def test_merged_memories_count_a_key_once(tmp_path):
    a, b = memory.QuestionMemory(8), memory.QuestionMemory(8)
    shared, own, other = batch(10, 11), batch(5, 12), batch(4, 13)
    a.commit("run", step=0, **shared), b.commit("run", step=0, **shared)
    a.commit("run", step=1, **own), b.commit("run", step=2, **other)
    a.save(tmp_path / "a")
    assert a.merge(b) == 4 and b.merge(memory.QuestionMemory.load(tmp_path / "a", dim=8)) == 5
    a.save(tmp_path / "ab"), b.save(tmp_path / "ba")
    assert (tmp_path / "ab/memory.safetensors").read_bytes() == (tmp_path / "ba/memory.safetensors").read_bytes()
    assert len(a) == sum(a.prefix_counts.values()) == 19
    with pytest.raises(ValueError, match=r"\[memory::merge\] other: expected embeddings of width 8, got 9"):
        a.merge(memory.QuestionMemory(9))
    with pytest.raises(ValueError, match=r"\[memory::load\] .*: expected embeddings of width 384, got 8"):
        memory.QuestionMemory.load(tmp_path / "a", dim=384)


def test_approximate_bank_finds_most_with_exact_scores_or_says_what_is_missing():
    rows, queries = unit_rows(3000, 16, 14), unit_rows(40, 16, 15)
    if not _core.has_faiss():
        with pytest.raises(ValueError, match=r"\[memory::ApproximateBank\] backend: expected a build with FAISS"):
            memory.ApproximateBank(rows)
        return
    bank, exact = memory.ApproximateBank(rows[:2000], lists=40, probes=8), memory.EmbeddingBank(16)
    bank.add(rows[2000:]), exact.add(rows)
    found, expected = bank.nearest(queries, k=5), exact.nearest(queries, k=5)
    share = torch.isin(found.id + 10_000 * torch.arange(40)[:, None], expected.id + 10_000 * torch.arange(40)[:, None])
    assert 0.6 < bank.recall(queries, k=5) == share.double().mean().item()
    torch.testing.assert_close(
        found.score, (queries.double() @ rows.double().T).gather(1, found.id), rtol=0, atol=1e-12
    )
    assert repr(bank) == "ApproximateBank(3000 rows, dim=16, lists=40, probes=8)"
    with pytest.raises(ValueError, match=r"\[memory::ApproximateBank\] lists: expected at least 1, or None, got 0"):
        memory.ApproximateBank(rows, lists=0)


def test_the_lexical_term_of_a_batch_is_that_of_each_question():
    counts = memory.PrefixCounts()
    counts.add_all(["How many cats?", "How many dogs?", "Why?"])
    # "how many" was asked twice, "why" once, "who is" never: 1/3, 1/2, 1.
    texts = ["How, many?", "why", "Who is it?", "a\u00e9"]
    assert counts.counts_of(texts).tolist() == [2, 1, 0, 0] == [counts.count(each) for each in texts]
    assert memory.lexical_novelty(counts, texts).tolist() == [1 / 3, 1 / 2, 1, 1]
    assert counts.total == 3


def test_a_table_without_a_question_has_no_lexical_term_and_is_not_counted():
    counts = memory.PrefixCounts()
    counts.add("")  # the prefix of a malformed slot's empty text must not be found
    table = parse_responses(["<response_1>How many?</response_1>", "<response_1> </response_1>"], k=2)
    for questions in (table, copy.deepcopy(table)):
        found = memory.lexical_novelty(counts, questions)
        assert found[0] == 1 and found[1:].isnan().all()
    assert counts.counts_of(table.native).tolist() == [0, 0, 0, 0]
    counts.add_all(table.native)
    assert counts.counts == {"": 1, "how many": 1}
