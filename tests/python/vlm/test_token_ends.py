"""The ends of tokens by their lengths are those that come out when every beginning of a completion is decoded."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from vlmprobe.vlm.token_ends import TokenEnds

TEXTS = [
    "How many cats are there? 图片中有几只猫？ Combien? été 🐈 emoji 👩\u200d👧 über naïve “quotes” \t\n x " * 9,
    " ".join(f"<response_{i % 4}> what is left of object {i} ? </response_{i % 4}>" for i in range(400)),
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """A vocabulary of bytes as Qwen's, with special tokens, and words that were added to it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|end|>", "<|image|>"]
    made.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, special_tokens=special)
    )
    found = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|end|>", pad_token="<|image|>")
    found.add_tokens(["<response_1>", "é>x"])
    return found


def by_decoding(tokenizer, words):
    """What the ends mean, in plain words."""
    lengths = [len(tokenizer.decode(words[: i + 1], skip_special_tokens=True).encode()) for i in range(len(words))]
    return [min(lengths[i:]) for i in range(len(words))]


def test_lengths_give_the_ends_that_decoding_gives(tokenizer):
    ends, draw, linear = TokenEnds(tokenizer), random.Random(1), 0
    for trial in range(600):
        if trial % 3 == 0:
            words = [draw.randrange(len(tokenizer)) for _ in range(draw.randrange(20))]
        else:
            text = draw.choice(TEXTS)
            begin = draw.randrange(len(text))
            ids = tokenizer(text[begin : begin + draw.randrange(1, 60)])["input_ids"]
            words = ids[: draw.randrange(len(ids) + 1)] + draw.choice([[], [0], [1, 0]])
        text = tokenizer.decode(words, skip_special_tokens=True)
        assert ends(words, text).tolist() == by_decoding(tokenizer, words), words
        linear += ends._by_length(words, text) is not None
    assert linear > 300


def test_a_vocabulary_of_words_is_decoded(tokenizer):
    words = Tokenizer(models.WordLevel({"?": 0, "why": 1, "how": 2}, unk_token="?"))
    plain = PreTrainedTokenizerFast(tokenizer_object=words)
    assert TokenEnds(plain)._bytes_of is None
    assert TokenEnds(plain)([1, 2, 0], "why how ?").tolist() == [3, 7, 9]
    assert TokenEnds(tokenizer)([], "").tolist() == []


def test_the_time_grows_with_the_length_and_not_with_its_square(tokenizer):
    ends = TokenEnds(tokenizer)
    words = (tokenizer(TEXTS[1])["input_ids"] * 4)[:8192]
    text = tokenizer.decode(words, skip_special_tokens=True)
    ends(words, text)  # the table is made once
    took = []
    for count in (1024, 8192):
        part = tokenizer.decode(words[:count], skip_special_tokens=True)
        best = min(_seconds(lambda count=count, part=part: ends(words[:count], part)) for _ in range(5))
        took.append(best)
    assert took[1] < 24 * took[0] and np.isfinite(took).all()  # a square would be 64 times


def _seconds(call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
