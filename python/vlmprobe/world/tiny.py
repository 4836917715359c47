"""The world's own models: Qwen2.5-VL and Qwen3-VL classes of up to two million parameters, a word tokenizer, the Pillow
image processor.

They are ordinary checkpoints: `config.json`, `model.safetensors`, tokenizer and processor files, loaded through the
same code as a real model (`vlmprobe.vlm.model`). `vlmprobe.world.build` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlmprobe.vlm import shipped

WEIGHTS = shipped.WORLD
MAX_SLOTS = 8  # response tags that the tokenizer knows

PAD, EOS, UNKNOWN = "<|pad|>", "<|eos|>", "<|unk|>"
USER, ASSISTANT = "<|user|>", "<|assistant|>"
VISION_START, IMAGE, VISION_END, VIDEO = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>", "<|video_pad|>"
SPECIAL = [PAD, EOS, UNKNOWN, USER, ASSISTANT, VISION_START, IMAGE, VISION_END, VIDEO]

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'user' %}<|user|>{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %} {{ part.text }} {% endif %}"
    "{% endfor %}{% else %}<|assistant|> {{ message.content[0].text }} <|eos|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tags() -> list[str]:
    """Response tags: ordinary words to the tokenizer, so that decoding keeps them."""
    return [f"<{slash}response_{i}>" for i in range(1, MAX_SLOTS + 1) for slash in ("", "/")]


def vocabulary() -> list[str]:
    """Special tokens, tags, answers, every word of the grammar, then those of hints; the position is the token id.

    New words are appended: a checkpoint knows the beginning of this list, which was all of it when it was made.
    """
    from vlmprobe._native import core
    from vlmprobe.world.hints import PROMPT_WORDS

    answers = ["yes", "no", *map(str, range(10))]
    prompt = ["ask", "questions", "describe", ";"]
    return list(dict.fromkeys([*SPECIAL, *tags(), *answers, *prompt, *core.world.grammar_words(), *PROMPT_WORDS]))


def tokenizer():
    """A word-level tokenizer over the vocabulary; punctuation is set apart, letters are lowered."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate(vocabulary())}
    inner = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("[?.,:;]"), "isolated")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        extra_special_tokens=[USER, ASSISTANT, VISION_START, IMAGE, VISION_END, VIDEO],
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def processor():
    """The processor for 64-pixel pictures: 8-pixel patches, merged 2 x 2, so 16 image tokens."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from vlmprobe.vlm.processor import ImageTextProcessor

    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 64 * 64, "longest_edge": 64 * 64},
        patch_size=8,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return ImageTextProcessor(images, tokenizer(), chat_template=CHAT_TEMPLATE)


@dataclass(frozen=True)
class Size:
    """Shape of a model: its classes, and those of text and vision part alike."""

    classes: str
    """`qwen2_5_vl` or `qwen3_vl`."""
    hidden: int
    heads: int
    """Of 32 numbers each in the text part."""
    key_value_heads: int
    layers: int
    """Of the text part; the vision part has 3."""


SIZES = {
    "small": Size("qwen2_5_vl", hidden=64, heads=2, key_value_heads=1, layers=3),
    "medium": Size("qwen2_5_vl", hidden=96, heads=3, key_value_heads=1, layers=4),
    "large": Size("qwen3_vl", hidden=128, heads=4, key_value_heads=2, layers=4),
}
MODELS = {
    "answerer-small": "small",
    "answerer-medium": "medium",
    "answerer": "large",
    "answerer-novice-small": "small",
    "answerer-novice-medium": "medium",
    "answerer-novice": "large",
    "questioner-broad-medium": "medium",
    "questioner-broad": "large",
    "questioner-medium": "medium",
    "questioner": "large",
}
"""The models of the package, and the size of each."""


def config(size: str = "large"):
    """The configuration of a size: embeddings tied, the picture 8 x 8 patches, merged 2 x 2."""
    from transformers import Qwen2_5_VLConfig, Qwen3VLConfig

    ids = {word: i for i, word in enumerate(vocabulary())}
    shape = SIZES[size]
    text: dict[str, Any] = {
        "vocab_size": len(ids),
        "hidden_size": shape.hidden,
        "intermediate_size": 3 * shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "max_position_embeddings": 1024,
        "initializer_range": 0.04,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "pad_token_id": ids[PAD],
        "eos_token_id": ids[EOS],
    }
    vision: dict[str, Any] = {
        "depth": 3,
        "hidden_size": shape.hidden,
        "intermediate_size": 2 * shape.hidden,
        "num_heads": 4,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": shape.hidden,
        "initializer_range": 0.04,
    }
    if shape.classes == "qwen3_vl":
        family: type[Qwen3VLConfig] | type[Qwen2_5_VLConfig] = Qwen3VLConfig
        text |= {"head_dim": 32, "rope_parameters": _rope(10000.0, [8, 4, 4])}
        vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [1]}
    else:
        family = Qwen2_5_VLConfig
        # Its axes take neighbouring frequencies, the time the fastest: with the usual base, rows and columns of a
        # picture of 4 x 4 would turn by less than a hundredth.
        text |= {"rope_parameters": _rope(20.0, [4, 6, 6])}
        vision |= {"window_size": 64, "fullatt_block_indexes": [0, 1, 2]}
    return family(
        text_config=text,
        vision_config=vision,
        image_token_id=ids[IMAGE],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids[VISION_START],
        vision_end_token_id=ids[VISION_END],
        tie_word_embeddings=True,
    )


def _rope(base: float, sections: list[int]) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": base, "mrope_section": sections}


def load(name: str, directory: str | Path | None = None):
    """Loads a model of the world.

    Args:
        name: one of `MODELS`.
        directory: where the checkpoints are; by default those of the package.

    Returns:
        A `vlmprobe.vlm.model.VisionLanguageModel`.
    """
    from vlmprobe.vlm.model import VisionLanguageModel

    return VisionLanguageModel.load(Path(directory or WEIGHTS) / name)


def load_to_teach(directory: Path):
    """The transformers model of a checkpoint in float32, with the eager attention that packed lessons need."""
    from transformers import AutoModelForImageTextToText

    return AutoModelForImageTextToText.from_pretrained(
        directory, attn_implementation="eager", dtype="float32", local_files_only=True
    )
