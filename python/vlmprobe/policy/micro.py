"""A step in parts: the losses of micro-batches, put together."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlmprobe import grpo

_RATIO_MAX, _TOKENS = 3, 5  # places among the monitors


def together(parts: Sequence[grpo.Loss]) -> grpo.Loss:
    """The loss of parts whose normaliser is that of the whole, and its monitors: means over the tokens of all parts.

    Args:
        parts: at least one, in any order.
    """
    monitors = torch.stack([part.monitors for part in parts])  # (parts, 6)
    tokens = monitors[:, _TOKENS]
    counted = monitors[tokens > 0]
    if not len(counted):
        return grpo.Loss(torch.stack([part.loss for part in parts]).sum(), monitors[0])
    whole = (counted * counted[:, _TOKENS:]).sum(0) / counted[:, _TOKENS].sum()
    whole[_RATIO_MAX], whole[_TOKENS] = counted[:, _RATIO_MAX].max(), tokens.sum()
    return grpo.Loss(torch.stack([part.loss for part in parts]).sum(), whole)
