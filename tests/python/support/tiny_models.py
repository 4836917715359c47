"""Small random models of the real classes, for tests."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.vlm.plain import PlainModel
from vlmprobe.world import tiny


def qwen2_5() -> VisionLanguageModel:
    """Qwen2.5-VL: windowed vision attention, no DeepStack."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    ids = {word: i for i, word in enumerate(tiny.vocabulary())}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(ids),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
            "pad_token_id": ids[tiny.PAD],
            "bos_token_id": None,
            "eos_token_id": ids[tiny.EOS],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_heads": 4,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 64,
            "window_size": 32,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids[tiny.IMAGE],
        video_token_id=ids[tiny.VIDEO],
        vision_start_token_id=ids[tiny.VISION_START],
        vision_end_token_id=ids[tiny.VISION_END],
    )
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation="sdpa").float().eval()
    return VisionLanguageModel(model, tiny.processor(), identity="qwen2.5-random")


def qwen3() -> VisionLanguageModel:
    """Qwen3-VL, the world's configuration: full vision attention, one DeepStack level."""
    from transformers import Qwen3VLForConditionalGeneration

    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration._from_config(tiny.config(), attn_implementation="sdpa").float().eval()
    return VisionLanguageModel(model, tiny.processor(), identity="qwen3-random")


QUESTIONS = "how many objects are there ? is there a red circle ? <response_1> </response_1> ask 2 questions"
CHAT = (
    "{%% for message in messages %%}{%% if message.role == 'user' %%}<|user|>{%% for part in message.content %%}"
    "{%% if part.type == 'image' %%}%s{%% else %%}{{ part.text }}{%% endif %%}{%% endfor %%}"
    "{%% else %%}<|assistant|>{{ message.content[0].text }}<|eos|>{%% endif %%}{%% endfor %%}"
    "{%% if add_generation_prompt %%}<|assistant|>{%% endif %%}"
)


def byte_tokenizer(picture: str, special: list[str], named: dict[str, str], texts: Sequence[str] = (QUESTIONS,)):
    """A byte-level tokenizer with a chat template that writes `picture` where a picture is."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + 44 * len(texts), initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token="<|eos|>",
        pad_token="<|pad|>",
        extra_special_tokens=named,
        padding_side="left",
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|user|>", "<|assistant|>", *special]})
    tokenizer.chat_template = CHAT % picture
    return tokenizer


def _text(tokenizer, **others) -> dict:
    return {
        "vocab_size": len(tokenizer) + 3,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 1024,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": 0.2,
    } | others


_VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "patch_size": 8,
    "initializer_range": 0.2,
}


def _idefics3(cls: str) -> tuple:
    import transformers

    special = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>"]
    special += [f"<row_{i + 1}_col_{j + 1}>" for i in range(2) for j in range(2)]
    tokenizer = byte_tokenizer("<image>", special, {})
    images = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}, do_image_splitting=True
    )
    processor = transformers.Idefics3Processor(
        images, tokenizer, image_seq_len=4, chat_template=tokenizer.chat_template
    )
    text = {"model_type": "llama"} | _text(tokenizer)
    config = getattr(transformers, f"{cls}Config")(
        text_config=text,
        vision_config=_VISION | {"image_size": 32},
        image_token_id=processor.image_token_id,
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    return config, processor


def _llava_onevision() -> tuple:
    import transformers

    from vlmprobe.vlm.processor import pictures_only

    tokenizer = byte_tokenizer("<image>", [], {"image_token": "<image>", "video_token": "<video>"})
    pins = [[32, 32], [32, 64], [64, 32], [64, 64]]
    images = transformers.LlavaOnevisionImageProcessorPil(size={"height": 32, "width": 32}, image_grid_pinpoints=pins)
    processor = pictures_only(transformers.LlavaOnevisionProcessor)(
        images, tokenizer, num_image_tokens=16, vision_feature_select_strategy="full",
        chat_template=tokenizer.chat_template,
    )  # fmt: skip
    config = transformers.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2"} | _text(tokenizer),
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, "image_size": 32} | _VISION,
        image_token_id=processor.image_token_id,
        video_token_id=processor.video_token_id,
        image_grid_pinpoints=pins,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    return config, processor


def _gemma3() -> tuple:
    import transformers

    named = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
    tokenizer = byte_tokenizer("<start_of_image>", [], named)
    images = transformers.Gemma3ImageProcessorPil(size={"height": 32, "width": 32})
    processor = transformers.Gemma3Processor(
        images, tokenizer, image_seq_length=4, chat_template=tokenizer.chat_template
    )
    config = transformers.Gemma3Config(
        text_config=_text(
            tokenizer, head_dim=8, sliding_window=16, layer_types=["sliding_attention", "full_attention"]
        ),
        vision_config={"vision_use_head": False, "image_size": 32} | _VISION,
        mm_tokens_per_image=4,
        image_token_id=tokenizer.image_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
    )
    return config, processor


def _internvl() -> tuple:
    import transformers

    from vlmprobe.vlm.processor import pictures_only

    named = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    tokenizer = byte_tokenizer("<IMG_CONTEXT>", [], named)
    images = transformers.GotOcr2ImageProcessorPil(size={"height": 32, "width": 32}, max_patches=4)
    processor = pictures_only(transformers.InternVLProcessor)(
        images, tokenizer, image_seq_length=4, chat_template=tokenizer.chat_template
    )
    config = transformers.InternVLConfig(
        text_config={"model_type": "qwen2"} | _text(tokenizer),
        vision_config=_VISION | {"image_size": [32, 32], "patch_size": [8, 8]},
        image_token_id=processor.image_token_id,
        image_seq_length=4,
    )
    return config, processor


OTHERS = {
    "SmolVLM": lambda: _idefics3("SmolVLM"),
    "Idefics3": lambda: _idefics3("Idefics3"),
    "LlavaOnevision": _llava_onevision,
    "Gemma3": _gemma3,
    "InternVL": _internvl,
}
"""Classes that go the plain way -> configuration and processor."""


def other(name: str, dtype: torch.dtype = torch.float32) -> PlainModel:
    """A model of a class that goes the plain way."""
    import transformers

    config, processor = OTHERS[name]()
    torch.manual_seed(0)
    made = getattr(transformers, f"{name}ForConditionalGeneration")._from_config(config, attn_implementation="sdpa")
    for part, weight in made.named_parameters():
        if "mm_input_projection" in part:  # Gemma 3 multiplies pictures with zeros until it is trained
            torch.nn.init.normal_(weight, std=0.2)
    return PlainModel(made.to(dtype).eval(), processor, identity=f"{name}-random")
