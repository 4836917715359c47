"""At which byte of a completion's text each of its tokens ends.

Linear where tokens are bytes, as they are in byte-level vocabularies (Qwen, Llama 3); elsewhere by decoding every
beginning of the completion."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.int64]


class TokenEnds:
    """The ends of tokens, for one tokenizer.

    Args:
        tokenizer: of transformers.
    """

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer

    def __call__(self, words: Sequence[int], text: str) -> Bytes:
        """[n] for each token the length in bytes of the text of the tokens so far.

        A token that completes a character later (bytes of one character) ends where it does; a special token adds
        nothing.

        Args:
            words: [n] ids.
            text: what they are decoded to, special tokens left out.
        """
        lengths = self._by_length(words, text)
        if lengths is None:
            lengths = np.array([self._decoded(words[: i + 1]) for i in range(len(words))], dtype=np.int64)
        whole = np.append(lengths, len(text.encode()))
        return np.minimum.accumulate(whole[::-1])[::-1][:-1].copy()

    def _decoded(self, words: Sequence[int]) -> int:
        return len(self._tokenizer.decode(words, skip_special_tokens=True).encode())

    def _by_length(self, words: Sequence[int], text: str) -> Bytes | None:
        """None where the bytes of the tokens are not those of the text."""
        table = self._bytes_of
        if table is None or not len(words) or max(words) >= len(table):
            return None
        said = np.frombuffer(text.encode(), dtype=np.uint8)
        ends = table[np.asarray(words)].cumsum()
        if "\ufffd" in text or ends[-1] != len(said):
            return None
        begins = np.append((said & 0xC0) != 0x80, True)  # whether a character begins at a byte
        before = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
        return np.where(begins[ends], ends, before[ends] + 3)  # a character that is cut is shown as U+FFFD, 3 bytes

    @cached_property
    def _bytes_of(self) -> Bytes | None:
        """[vocabulary] bytes that each token adds to a text; None where the vocabulary is not of bytes."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None or getattr(self._tokenizer, "clean_up_tokenization_spaces", False):
            return None
        decoder = json.loads(backend.to_str()).get("decoder") or {}
        if decoder.get("type") != "ByteLevel":
            return None
        tokens = self._tokenizer.convert_ids_to_tokens(range(len(self._tokenizer)))
        table = np.array([len(token or "") for token in tokens], dtype=np.int64)  # a byte is a character there
        special = set(self._tokenizer.all_special_ids)
        for number, token in self._tokenizer.added_tokens_decoder.items():
            table[number] = 0 if number in special or token.special else len(token.content.encode())
        return table
