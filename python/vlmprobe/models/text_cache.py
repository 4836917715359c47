"""Encodes each text once: a bounded cache from text to row, shared by the embedders."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch

from vlmprobe._util.visible import bare

Rows = np.ndarray


class TextCache:
    """Calls `encode` for the texts not seen lately, each once; the least recently used row goes first. What nobody sees
    is left out of a text before: it makes no question new.

    Args:
        encode: n distinct texts -> [n, dim] float32 array; row i must depend on text i alone.
        dim: width of a row.
        capacity: rows kept, at least 1 (384 wide: 1.5 KB each).
    Raises:
        ValueError: capacity below 1; texts that are not a sequence of str.
    """

    def __init__(self, encode: Callable[[list[str]], Rows], *, dim: int, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"[TextCache] capacity must be at least 1, got {capacity}")
        self._encode, self._dim, self._capacity = encode, dim, capacity
        self._rows: OrderedDict[str, Rows] = OrderedDict()

    def __repr__(self) -> str:
        return f"TextCache({len(self._rows)} of {self._capacity} rows, dim={self._dim})"

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """[Q, dim] float32, in the order given; a fresh tensor that the caller may change."""
        _check_texts(texts)
        texts = [bare(text) for text in texts]
        if not texts:
            return torch.empty(0, self._dim, dtype=torch.float32)
        rows = {text: self._rows[text] for text in texts if text in self._rows}
        new = list(dict.fromkeys(text for text in texts if text not in rows))
        if new:
            rows.update(zip(new, self._encode(new), strict=True))
        self._remember(rows)
        return torch.from_numpy(np.stack([rows[text] for text in texts]))

    def _remember(self, rows: dict[str, Rows]) -> None:
        for text, row in rows.items():
            self._rows[text] = row
            self._rows.move_to_end(text)
        while len(self._rows) > self._capacity:
            self._rows.popitem(last=False)


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str):
        raise ValueError("[embedder] texts: expected a list of str, got one str")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"[embedder] texts[{index}]: expected str, got {type(text).__name__}")
