"""Learning in small types, and whether weights move at all.

A bfloat16 number has 8 bits of mantissa: its neighbours are .4 to .8 % away, and a change below half of that is rounded
away. At a learning rate of 1e-6 AdamW changes a weight by about 1e-6 a step: a weight of .01 has its neighbours 6e-5
away and stays for ever, step after step. With a float32 master beside it, the steps add up until one crosses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, overload

import torch
from torch import Tensor

SMALL = (torch.bfloat16, torch.float16)
SAMPLE = 1 << 12
"""Values of a weight that are watched."""


class Watched:
    """Up to `SAMPLE` values of each weight, evenly spread, as they are now.

    Args:
        weights: of a model; those that are float32 are watched as float32.
    """

    def __init__(self, weights: Iterable[Tensor]):
        self._weights = list(weights)
        self._before = [_some(weight).clone() for weight in self._weights]

    def changed(self) -> float:
        """The share of values that are no longer what they were, each weight by its size; NaN without any weight."""
        shares, sizes = [], []
        for weight, before in zip(self._weights, self._before, strict=True):
            if len(before):
                shares.append((_some(weight) != before).double().mean())
                sizes.append(weight.numel())
        if not sizes:
            return math.nan
        parts = torch.stack(shares).cpu()  # one wait for the device
        return float(parts @ torch.tensor(sizes, dtype=torch.float64)) / sum(sizes)


def _some(weight: Tensor) -> Tensor:
    values = weight.detach().flatten()
    return values[:: max(1, math.ceil(len(values) / SAMPLE))]


class MasterAdamW(torch.optim.AdamW):
    """AdamW with float32 masters: bfloat16 and float16 weights are their masters, rounded; others as ever.

    A master and both moments are in the optimiser's state, 12 bytes a weight, and so in a checkpoint. A weight that was
    changed from outside between two steps goes on from what it is.

    Args:
        As of `torch.optim.AdamW`.
    """

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with self._on_masters():
            super().step()
        return loss

    @contextmanager
    def _on_masters(self) -> Iterator[None]:
        """Inside, the masters stand in the place of the small weights, with their gradients and states."""
        own = [group["params"] for group in self.param_groups]
        stand_ins = {id(weight): self._master(weight) for weights in own for weight in weights if _learns(weight)}
        for group, weights in zip(self.param_groups, own, strict=True):
            group["params"] = [stand_ins.get(id(weight), weight) for weight in weights]
        try:
            yield
        finally:
            for group, weights in zip(self.param_groups, own, strict=True):
                group["params"] = weights
                for weight in weights:
                    if (master := stand_ins.get(id(weight))) is not None:
                        master.grad = None
                        self.state[weight] = {**self.state.pop(master), "master": master}
                        weight.copy_(master)

    def _master(self, weight: Tensor) -> Tensor:
        state = self.state.pop(weight, {})
        master = state.pop("master", None)
        if master is None:
            master = weight.detach().float().clone()
        else:
            master.copy_(torch.where(master.to(weight.dtype) == weight, master, weight.float()))
        assert weight.grad is not None
        master.grad = weight.grad.float()
        self.state[master] = state
        return master

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As ever; but what torch would round to the type of the weight stays float32."""
        super().load_state_dict(dict(state_dict))
        weights = [weight for group in self.param_groups for weight in group["params"]]
        numbers = [number for group in state_dict["param_groups"] for number in group["params"]]
        for weight, number in zip(weights, numbers, strict=True):
            for name, value in state_dict["state"].get(number, {}).items():
                if weight.dtype in SMALL and isinstance(value, Tensor) and value.shape == weight.shape:
                    self.state[weight][name] = value.to(weight.device, torch.float32, copy=True)


def _learns(weight: Tensor) -> bool:
    return weight.dtype in SMALL and weight.grad is not None
