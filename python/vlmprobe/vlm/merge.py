"""Whole weights out of weights and adapters, for whoever opens a model without adapters."""

from __future__ import annotations

from typing import Any

import torch

from vlmprobe._util.optional import require
from vlmprobe.vlm.model import VisionLanguageModel


def merge(model: VisionLanguageModel) -> VisionLanguageModel:
    """Adds the adapters to the weights beside which they sit, in float32, and takes them away.

    Args:
        model: with adapters; changed in place.

    Returns:
        The same model, without adapters. Its weights have the type that they had, so that bfloat16 ones are rounded.

    Raises:
        ImportError: without the extra `lora`.
        ValueError: it has no adapters, or ones that are not finite.
    """
    if not model.adapted:
        raise ValueError("[merge] model: expected one with adapters, got one that has none")
    layers = require("peft", extra="lora").tuners.lora
    with torch.no_grad():
        for name, layer in list(model.model.named_modules()):
            if isinstance(layer, layers.LoraLayer):
                _put(model.model, name, _sum(name, layer))
    model.model._hf_peft_config_loaded = False
    del model.model.peft_config
    return model


def _sum(name: str, layer: Any) -> torch.nn.Module:
    """The layer below the adapters, with these in its weight."""
    base: torch.nn.Linear = layer.get_base_layer()
    weight = base.weight.float().clone()  # of float32 weights float() is the same tensor
    for adapter in layer.active_adapters:
        weight += layer.get_delta_weight(adapter).float()
    if not weight.isfinite().all():
        raise ValueError(f"[merge] {name}: expected finite weights, got others")
    base.weight.copy_(weight)
    return base


def _put(model: torch.nn.Module, name: str, layer: torch.nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)
