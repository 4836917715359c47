"""Tokens of replies, chosen for a model's own `generate`: the most likely ones, or drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vlmprobe import grpo
from vlmprobe._native import core
from vlmprobe.models.model import Sampling

_ONE = np.zeros(1, dtype=np.int64)


class Drawing:
    """A logits processor of transformers that leaves one token of each row.

    Args:
        keys: [N] names of the rows' random numbers, below 2**64.
        sampling: temperature and top_p of all rows.
        banned: [n] tokens that no reply may hold.
        behind: length of the prompts.
    """

    def __init__(self, keys: Sequence[int], sampling: Sampling, *, banned: Tensor, behind: int):
        self._keys, self._sampling, self._banned, self._behind = keys, sampling, banned, behind

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """[N, V] logits to 0 for the chosen token and minus infinity for all others."""
        barred = scores.index_fill(1, self._banned, float("-inf"))
        token = self._chosen(barred, ids.shape[1] - self._behind)
        return torch.full_like(scores, float("-inf")).scatter_(1, token[:, None], 0.0)

    def _chosen(self, logits: Tensor, at: int) -> Tensor:
        if self._sampling.temperature == 0:
            return logits.argmax(1)
        each = [core.uniform(key, core.Stream.sampling, 0, _ONE, at) for key in self._keys]
        numbers = torch.from_numpy(np.concatenate(each))
        if self._sampling.top_p == 1:
            return grpo.draw_tokens(logits, numbers, temperature=self._sampling.temperature)[0]
        return nucleus(logits, numbers, temperature=self._sampling.temperature, top_p=self._sampling.top_p)


def nucleus(logits: Tensor, numbers: Tensor, *, temperature: float, top_p: float) -> Tensor:
    """[N] tokens, each drawn from the fewest words whose probabilities add up to `top_p`.

    Args:
        logits: [N, V].
        numbers: [N] float64 from 0 to below 1; each decides a row.
        temperature: above 0.
        top_p: above 0, to 1.

    Source: Holtzman et al., arXiv 1904.09751.
    """
    sorted_, words = (logits.double() / temperature).softmax(1).sort(dim=1, descending=True, stable=True)
    before = sorted_.cumsum(1) - sorted_
    kept = sorted_.masked_fill(before >= top_p, 0.0)
    reached = kept.cumsum(1)
    wanted = numbers.to(reached)[:, None] * reached[:, -1:]
    place = torch.searchsorted(reached, wanted, right=True).minimum((kept > 0).sum(1, keepdim=True) - 1)
    return words.gather(1, place)[:, 0]
