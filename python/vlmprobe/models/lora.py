"""Low-rank adapters: training a few weights beside frozen ones."""

from __future__ import annotations

from vlmprobe._checks import check_count, check_positive
from vlmprobe._optional import require
from vlmprobe.models.hf import VisionLanguageModel

TARGETS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj)"
"""The attention projections of the language part; the vision tower has no such names."""


def add_lora(model: VisionLanguageModel, *, rank: int = 16, alpha: float = 32.0) -> VisionLanguageModel:
    """Puts an adapter beside every attention projection of the language part and freezes everything else.

    A `Questioner` of the model then trains the adapters alone, and its reference is the model with adapters switched
    off: no second copy of the weights. `save_pretrained` writes the adapters.

    Args:
        model: changed in place.
        rank: of the adapters, at least 1.
        alpha: the adapters' output is scaled by alpha / rank.

    Returns:
        The same model.

    Raises:
        ImportError: without the extra `lora`.

    Source: Hu et al., arXiv 2106.09685.
    """
    check_count("add_lora", "rank", rank)
    check_positive("add_lora", "alpha", alpha)
    peft = require("peft", extra="lora")
    model.model.add_adapter(peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=TARGETS))
    return model
