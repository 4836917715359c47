"""Opening a vision-language model: a folder, a name, or adapters beside the weights that they belong to."""

from __future__ import annotations

from pathlib import Path

from vlmprobe.vlm import shipped
from vlmprobe.vlm.lora import load_adapted, weights_sha256
from vlmprobe.vlm.model import QWEN_VL, VisionLanguageModel
from vlmprobe.vlm.opening import DEFAULT, Opening
from vlmprobe.vlm.plain import PlainModel


def load(
    path: str | Path,
    *,
    opening: Opening = DEFAULT,
    base: VisionLanguageModel | str | Path | None = None,
) -> VisionLanguageModel:
    """See `VisionLanguageModel.load`."""
    opening.check()
    where = shipped.folder(path)
    local = isinstance(where, Path) or str(where).startswith((".", "/", "~")) or Path(where).is_dir()
    folder = Path(where).expanduser()
    whole = not local or (folder / "config.json").is_file()
    if not whole and (folder / "adapter_config.json").is_file():
        return load_adapted(folder, base, opening=opening)
    if not whole:
        got = f"{str(path)!r}, which has no adapter_config.json either"
        raise ValueError(f"[VisionLanguageModel.load] path: expected a folder with config.json, got {got}")
    if base is not None:
        raise ValueError("[VisionLanguageModel.load] base: expected none beside whole weights, got one")
    where = folder if local else where
    model = _opened(where, opening)
    if getattr(model, "_hf_peft_config_loaded", False):
        hint = "a folder that holds the adapters alone"
        raise ValueError(f"[VisionLanguageModel.load] path: expected whole weights, or {hint}, got {str(path)!r}")
    if any(weight.device.type == "meta" for weight in model.parameters()):
        raise ValueError(
            "[VisionLanguageModel.load] device: expected room for all weights on the devices, got less; take a smaller "
            "dtype or a quantization"
        )
    shares = model.config.model_type in QWEN_VL and not _spread(model)
    return (VisionLanguageModel if shares else PlainModel)(
        (model if opening.placed else model.to(opening.device)).eval(),
        load_processor(where, opening=opening),
        identity=_identity(where, model, opening),
        source=shipped.name_of(where),
    )


def _opened(where: str | Path, opening: Opening):
    """The model, with the attention that is asked for, else torch's fused one where its class has it."""
    from transformers import AutoModelForImageTextToText

    given = opening.arguments()
    try:
        return AutoModelForImageTextToText.from_pretrained(
            where, attn_implementation=opening.attention or "sdpa", **given
        )
    except ValueError as error:
        if opening.attention or "scaled_dot_product_attention" not in str(error):
            raise
    return AutoModelForImageTextToText.from_pretrained(where, **given)


def _spread(model) -> bool:
    """Whether the weights lie on several devices, so that the model's own `forward` alone knows its way."""
    return len(set((getattr(model, "hf_device_map", None) or {}).values())) > 1


def quiet() -> None:
    """Turns off transformers' progress bars, for commands that print progress of their own."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def load_processor(path: str | Path, *, opening: Opening = DEFAULT):
    """The checkpoint's processor. Qwen's, and those that cannot be opened for want of what videos need (torchvision),
    are put together from image processor and tokenizer alone.

    Raises:
        ValueError: what was found cannot take images.
    """
    from transformers import AutoConfig, AutoProcessor, AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from vlmprobe.vlm.processor import ImageTextProcessor, without_videos

    given = opening.of_files()
    if Path(path).is_dir() and AutoConfig.from_pretrained(path).model_type in QWEN_VL:
        images, tokenizer = Qwen2VLImageProcessorPil.from_pretrained(path), AutoTokenizer.from_pretrained(path)
        return ImageTextProcessor(images, tokenizer, chat_template=tokenizer.chat_template or _chat_template(path))
    try:
        processor = AutoProcessor.from_pretrained(path, **given)
    except (ImportError, OSError):  # torchvision, a package that names numbers of frames, a file about videos
        processor = None
    if not hasattr(processor, "image_processor"):
        processor = without_videos(AutoConfig.from_pretrained(path, **given).model_type, path, **given) or processor
    if not hasattr(processor, "image_processor"):
        raise ValueError(
            f"[load_processor] path: expected a processor that takes images, got {type(processor).__name__}"
        )
    return processor


def _chat_template(path: str | Path) -> str | None:
    file = Path(path) / "chat_template.jinja"
    return file.read_text() if file.is_file() else None


def _identity(path: str | Path, model, opening: Opening) -> str:
    """The name, with the hub's revision, or for a folder with a fingerprint of the weights: a folder's name says
    nothing of what is in it. Weights of the package are known by its version; quantised ones say so."""
    revision = getattr(model.config, "_commit_hash", None)
    if not revision and not shipped.name_of(path).startswith(shipped.SCHEME):
        revision = weights_sha256(model)[:12]
    made = "-".join(filter(None, (revision, opening.quantization)))
    return f"{Path(path).name}@{made}" if made else Path(path).name
