"""How a model's weights are opened: which revision, in what type, on what device, with what attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from vlmprobe._util.optional import require

QUANTIZATIONS = ("", "8bit", "4bit")
AUTO = "auto"
"""A device that is chosen by accelerate: the first GPU, several where one is too small, the CPU where there is none."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How weights are opened.

    Raises:
        ValueError: a quantisation that is none of QUANTIZATIONS.
    """

    device: str = "cpu"
    """As torch names it, or AUTO."""
    dtype: torch.dtype | None = None
    """None: float32, or for the base of adapters the type beside which they were trained."""
    revision: str = ""
    """Of a name on the hub: a branch, a tag or a commit; empty: the hub's default."""
    attention: str = ""
    """As transformers names it; empty: torch's fused attention where the class has it."""
    quantization: str = ""
    """`8bit` or `4bit` by bitsandbytes; empty: none."""

    def __post_init__(self) -> None:
        if self.quantization not in QUANTIZATIONS:
            raise ValueError(f"[load] quantization: expected 8bit, 4bit or none, got {self.quantization!r:.60}")

    @property
    def placed(self) -> bool:
        """Whether transformers puts the weights on their device, so that nothing moves them afterwards."""
        return self.device == AUTO or bool(self.quantization)

    def check(self) -> None:
        """Looks for the packages that this needs.

        Raises:
            ModuleNotFoundError: one is missing; names the extra that brings it.
        """
        if self.placed:
            require("accelerate", extra="large")
        if self.quantization:
            require("bitsandbytes", extra="large")

    def arguments(self) -> dict[str, Any]:
        """What `from_pretrained` of a model is given; nothing of the attention, which `vlmprobe.vlm.load` chooses."""
        found: dict[str, Any] = {"dtype": self.dtype or torch.float32, **self.of_files()}
        if self.placed:
            found["device_map"] = AUTO if self.device == AUTO else {"": self.device}
        if self.quantization:
            found["quantization_config"] = self._quantized()
        return found

    def of_files(self) -> dict[str, Any]:
        """What `from_pretrained` of a processor or a configuration is given."""
        return {"revision": self.revision} if self.revision else {}

    def _quantized(self) -> Any:
        from transformers import BitsAndBytesConfig

        if self.quantization == "8bit":
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=self.dtype or torch.float32
        )


DEFAULT = Opening()
