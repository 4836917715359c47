import math

import numpy as np
import pytest
import torch

from vlmprobe import reward
from vlmprobe.memory import QuestionMemory
from vlmprobe.reward import Batch, invalid, lexical, semantic, valid, wrong

NAN = math.nan


def example(**changes):
    columns = {
        "sequence": [0, 0, 1, 1, 2],
        "num_sequences": 3,
        "valid": [1, 0, 1, -1, 1],
        "correct": [0, -1, 1, 1, -1],
        "semantic": [0.4, NAN, 0.4, 0.4, 0.4],
        "lexical": [0.5, NAN, 0.5, 0.5, 0.5],
        "texts": ["a b", "", "c", "d", "e f g"],
    }
    return Batch(**columns | changes)


def close(found, expected):
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-15, equal_nan=True)


def test_the_line_is_the_reward():
    line = 0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid
    assert repr(line) == "0.5 * (semantic + lexical) * valid * wrong - 1.0 * invalid" == repr(reward.paper())
    rewards = line(example())
    close(rewards.question, [0.45, -1, 0, NAN, NAN])
    close(rewards.total, [(0.45 - 1) / 2, 0, NAN])
    assert list(rewards.terms) == sorted(["semantic", "lexical", "valid", "wrong", "invalid"])
    close(rewards.terms["wrong"], [1, NAN, 0, 0, NAN])
    assert repr(rewards) == "Rewards(5 questions, 2 unscored, terms: invalid, lexical, semantic, valid, wrong)"


def test_operators_read_as_python_reads_them():
    for line in (
        "semantic - (lexical - wrong)",
        "-semantic * valid",
        "1.0 - valid",
        "2.0 * -(wrong + invalid)",
        "-0.5 * valid",
    ):
        assert repr(eval(line)) == line == repr(reward.parse(line))


def test_arrays_and_tensors_are_accepted():
    columns = {
        "valid": np.array([True, False, True, True, True]),
        "correct": torch.zeros(5),
        "sequence": np.zeros(5, int),
    }
    close(reward.paper()(example(**columns)).question, [0.45, -1, 0.45, 0.45, 0.45])
    assert repr(example()) == "Batch(5 questions, 3 sequences)"


def test_a_custom_term_sees_the_whole_batch():
    calls = []

    def words(batch):
        calls.append(batch)
        return [len(text.split()) for text in batch.texts]

    length = reward.term("length", words)
    line = length * valid * wrong + 0 * length - invalid
    assert repr(line) == "length * valid * wrong + 0.0 * length - invalid"
    rewards = line(example())
    close(rewards.question, [2, -1, 0, NAN, NAN])
    close(rewards.terms["length"], [2, 0, 1, 1, 3])
    assert len(calls) == 1
    close(
        reward.parse("length * valid", terms={"length": words, "other": words})(example()).question, [2, 0, 1, NAN, 3]
    )
    with pytest.raises(ValueError, match=r"\[reward::term\] name: expected one function per name, got two for length"):
        length + reward.term("length", lambda batch: [0] * 5)


def test_presets():
    assert reward.PRESETS == (
        "paper",
        "paper-no-diversity",
        "paper-no-penalty",
        "paper-no-lexical",
        "paper-no-semantic",
    )
    assert repr(reward.parse("paper-no-lexical")) == repr(reward.paper(lexical=False))
    close(reward.parse("paper-no-diversity")(example()).question, [1, -1, 0, NAN, NAN])
    close(reward.parse("paper-no-penalty")(example()).question, [0.45, 0, 0, NAN, NAN])


def test_wrong_input_is_named():
    with pytest.raises(
        ValueError, match=r"\[reward::parse\] text: expected semantic, .*, got semantik \(nearest: semantic\)"
    ):
        reward.parse("semantik * valid")
    with pytest.raises(ValueError, match=r"nearest: paper-no-lexical"):
        reward.parse("paper-no-lexcal")
    with pytest.raises(ValueError, match=r"\[reward::paper\] lambda_scale: expected a finite number from 0 on, got -1"):
        reward.paper(lambda_scale=-1)
    with pytest.raises(ValueError, match=r"\[reward::Batch\] valid: expected torch.int8, got values of torch.float32"):
        example(valid=[0.5] * 5)
    with pytest.raises(ValueError, match=r"\[reward::Batch\] correct: expected torch.int8, got values of torch.int64"):
        example(correct=[256] * 5)
    with pytest.raises(ValueError, match=r"\[reward::Batch\] texts: expected 5, one per question, got 1"):
        example(texts=["a"])
    with pytest.raises(
        ValueError, match=r"\[reward::score\] semantic: row 1: expected a value in \[0, 1\] or NaN, got 2"
    ):
        reward.paper()(example(semantic=[0, 2, 0, 0, 0]))
    with pytest.raises(ValueError, match=r"\[reward::score\] short: expected shape \[Q\], got \[2\]"):
        reward.term("short", lambda batch: [0, 1])(example())
    with pytest.raises(ValueError, match=r"number: expected a finite one, got nan"):
        NAN * semantic
    with pytest.raises(TypeError):
        semantic * "2"


def remembered(*known):
    """A memory of failures with these directions, two numbers each, all on picture 9."""
    memory, rows = QuestionMemory(2), torch.tensor(known, dtype=torch.float32)
    count = len(known)
    memory.commit("run", step=0, sequence=list(range(count)), slot=[0] * count, image=[9] * count, embeddings=rows,
                  texts=["why ?"] * count)  # fmt: skip
    return memory


def test_a_failure_is_worth_less_the_more_of_its_kind_are_known_and_asked_beside_it():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    columns = {"sequence": range(5), "num_sequences": 5, "semantic": [NAN] * 5, "lexical": [NAN] * 5}
    batch = reward.Batch(
        **columns, valid=[1, 1, 1, 1, 0], correct=[0, 0, 0, 1, -1], embeddings=rows,
        memory=remembered((1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (0.0, -1.0)),
    )  # fmt: skip
    found = reward.coverage()(batch)
    # Three are known and one is beside it: four halve the worth. None is near the third; the fourth was right.
    close(found.question, [0.5, 0.5, 1, 0, 0])
    close(found.terms["rare"], [0.5, 0.5, 1, 1, NAN])
    close(reward.parse("coverage")(batch).question, found.question.tolist())
    close(reward.parse("0.5 * (rare + 1) * valid * wrong")(batch).question, [0.75, 0.75, 1, 0, 0])
    with pytest.raises(ValueError, match=r"^\[reward::rare\] batch: expected the memory and the embeddings of a step"):
        reward.coverage()(example())
