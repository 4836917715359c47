"""Low-rank adapters: training a few weights beside frozen ones, and opening what was trained in another process."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from vlmprobe._util.checks import check_count, check_positive
from vlmprobe._util.files import sha256
from vlmprobe._util.optional import require
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.vlm.opening import Opening

TARGETS = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj)"
"""The attention projections of the language part; the vision tower has no such names."""
CONFIG, WEIGHTS, BASE = "adapter_config.json", "adapter_model.safetensors", "base.json"
SAMPLE = 1 << 16  # values of a weight that a base is known by


def add_lora(
    model: VisionLanguageModel,
    *,
    rank: int = 16,
    alpha: float = 32.0,
    vision: bool = False,
    adapters: str | Path | None = None,
) -> VisionLanguageModel:
    """Puts a float32 adapter beside every attention projection of the language part and freezes everything else.

    A `Questioner` of the model then trains the adapters alone, and its reference is the model with adapters switched
    off: no second copy of the weights. `save_pretrained` writes the adapters, a checkpoint beside them which base they
    belong to.

    Args:
        model: changed in place.
        rank: of the adapters, at least 1.
        alpha: the adapters' output is scaled by alpha / rank.
        vision: put one beside every linear layer outside of the language part and the head as well: those of the vision
            tower, and of what hands its features on.
        adapters: the folder of trained ones, to go on with; rank, alpha and places are then theirs.

    Returns:
        The same model.

    Raises:
        ImportError: without the extra `lora`.
        ValueError: the model has adapters already; those of the folder are damaged, of another kind than low-rank ones,
            or were trained beside other weights.

    Source: Hu et al., arXiv 2106.09685.
    """
    check_count("add_lora", "rank", rank)
    check_positive("add_lora", "alpha", alpha)
    if model.adapted:
        raise ValueError("[add_lora] model: expected one without adapters, got one that has some")
    peft = require("peft", extra="lora")
    if adapters is None:
        places = TARGETS.replace("language_model", re.escape(model.language_part))
        if vision:
            places = "|".join([places, *map(re.escape, model.vision_layers())])
        model.model.add_adapter(peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=places))
        _widen(model)
    else:
        _load(model, Path(adapters), peft)
    return model


def _widen(model: VisionLanguageModel, values: dict[str, torch.Tensor] | None = None) -> None:
    """Adapters are float32, whatever the weights beside them are: smaller ones would not move. `values` by PEFT's names
    are put in, unrounded."""
    for name, weight in model.model.named_parameters():
        if ".lora_" in name and weight.dtype in (torch.bfloat16, torch.float16):
            weight.data = weight.data.float()
            if values:
                weight.data.copy_(values["base_model.model." + name.replace(".default.", ".")])


def load_adapted(
    folder: Path, base: VisionLanguageModel | str | Path | None, *, opening: Opening
) -> VisionLanguageModel:
    """See `VisionLanguageModel.load`."""
    known = _known_base(folder)
    if not isinstance(base, VisionLanguageModel):
        name = known.get("name") if base is None else base
        if not name or (Path(name) / CONFIG).is_file():
            got = "adapters" if name else "none"
            raise ValueError(f"[VisionLanguageModel.load] {folder}: base: expected whole weights, got {got}; {_HOW}")
        try:
            base = VisionLanguageModel.load(name, **vars(replace(opening, dtype=opening.dtype or _dtype(known))))
        except (OSError, ValueError) as error:
            raise ValueError(f"[VisionLanguageModel.load] {folder}: base {str(name)!r}: {error}; {_HOW}") from error
    model = add_lora(base, adapters=folder)
    model.identity = f"{base.identity}+lora@{sha256(folder / WEIGHTS)[:8]}"
    return model


_HOW = "name the model that the adapters were trained beside with base="


def write_base(model: VisionLanguageModel, folder: Path) -> None:
    """Writes `base.json` beside saved adapters: the name, type and fingerprint of the weights that they belong to. PEFT
    itself would name a path of this machine."""
    known = {"name": model.source, "dtype": str(model.head.dtype).removeprefix("torch."), "sha256": base_sha256(model)}
    config = _object(folder, CONFIG) | {"base_model_name_or_path": model.source}
    for name, content in ((BASE, known), (CONFIG, config)):
        (folder / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def base_sha256(model: VisionLanguageModel) -> str:
    """A fingerprint of the weights beside the adapters: their names and shapes, and up to `SAMPLE` values of each,
    evenly spread, as bfloat16: the type in which they were loaded is not in it."""
    return weights_sha256(model.model)


def weights_sha256(model: torch.nn.Module) -> str:
    """`base_sha256` of a module."""
    found = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        if ".lora_" in name:
            continue
        values = weight.detach().flatten()
        some = values[:: max(1, math.ceil(len(values) / SAMPLE))].to("cpu", torch.bfloat16)
        found.update(f"{name.replace('.base_layer.', '.')} {tuple(weight.shape)}\n".encode())
        found.update(some.contiguous().view(torch.int16).numpy().tobytes())
    return found.hexdigest()


def _load(model: VisionLanguageModel, folder: Path, peft: Any) -> None:
    """Trained adapters beside the model's weights, which are looked at before anything is changed."""
    known, config, tensors = _known_base(folder), _config(folder, peft), _tensors(folder)
    if known.get("sha256") not in (None, base_sha256(model)):
        raise ValueError(
            f"[add_lora] {folder}: base: expected the weights that the adapters were trained beside "
            f"({known.get('name')}), got others ({model.source or model.identity})"
        )
    trained = [weight for weight in model.model.parameters() if weight.requires_grad]
    config.base_model_name_or_path = model.model.name_or_path
    try:
        found = model.model.load_adapter(peft_config=config, adapter_state_dict=tensors, is_trainable=True)
        wrong = sorted({*found.missing_keys, *found.unexpected_keys})
    except (RuntimeError, ValueError, KeyError):  # it has logged the sizes
        wrong = ["their sizes or places are not the model's"]
    if wrong:
        if model.adapted:
            model.model.delete_adapter("default")
        for weight in trained:
            weight.requires_grad_(True)
        raise ValueError(f"[add_lora] {folder}: expected adapters of {model.identity}, got others ({wrong[0]:.200})")
    for name, weight in model.model.named_parameters():
        weight.requires_grad_(".lora_" in name)
    _widen(model, tensors)


def _config(folder: Path, peft: Any) -> Any:
    content = _object(folder, CONFIG)
    for name, allowed in (("peft_type", ("LORA",)), ("bias", ("none", None)), ("modules_to_save", (None, []))):
        if content.get(name) not in allowed:
            raise ValueError(f"[add_lora] {folder / CONFIG}: {name}: expected {allowed[0]}, got {content[name]!r:.60}")
    try:
        return peft.LoraConfig.from_pretrained(str(folder))
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"[add_lora] {folder / CONFIG}: expected the settings of adapters ({error})") from None


def _tensors(folder: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"[add_lora] {folder / WEIGHTS}: expected adapters as safetensors ({error})") from None


def _known_base(folder: Path) -> dict[str, Any]:
    """What is known of the base: by us, else the name that PEFT writes."""
    if (folder / BASE).is_file():
        return _object(folder, BASE)
    content = _object(folder, CONFIG)
    return {"name": content.get("base_model_name_or_path")}


def _dtype(known: dict[str, Any]) -> torch.dtype:
    found = getattr(torch, str(known.get("dtype", "float32")), None)
    return found if isinstance(found, torch.dtype) else torch.float32


def _object(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"[add_lora] {folder / name}: cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"[add_lora] {folder / name}: expected an object, got {type(content).__name__}")
    return content
