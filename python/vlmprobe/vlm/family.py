"""Which family a model is of, read from its `config.json` before any weight is."""

from __future__ import annotations

from pathlib import Path

from vlmprobe.vlm import shipped
from vlmprobe.vlm.lora import CONFIG
from vlmprobe.vlm.model import QWEN_VL


def family(path: str | Path, *, revision: str = "") -> str:
    """What a model is, in words.

    Args:
        path, revision: as `VisionLanguageModel.load` takes them.

    Raises:
        ValueError: no model, or none that takes pictures and writes text.
        OSError: it cannot be read.
    """
    where = shipped.folder(path)
    folder = Path(where).expanduser()
    if (folder / CONFIG).is_file() and not (folder / "config.json").is_file():
        return "adapters"
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as FAMILIES

    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ValueError(f"[family] path: expected a folder with config.json or {CONFIG}, got {str(path)!r}")
    known = AutoConfig.from_pretrained(folder if folder.is_dir() else where, revision=revision or None).model_type
    if known not in FAMILIES:
        raise ValueError(f"[family] {path}: expected a model of pictures and text, got a {known!r}")
    return f"a {known}, " + ("which shares prompts" if known in QWEN_VL else "by its own forward and generate")
