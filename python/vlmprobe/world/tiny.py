"""The world's own models: Qwen3-VL classes of two million parameters, a word tokenizer, the Pillow image processor.

They are ordinary checkpoints: `config.json`, `model.safetensors`, tokenizer and processor files, loaded through the
same code as a real model (`vlmprobe.models.hf`). `vlmprobe.world.build` makes them.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"
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
    """Special tokens, tags, answers and every word of the grammar; the position is the token id."""
    from vlmprobe._native import core

    answers = ["yes", "no", *map(str, range(10))]
    prompt = ["ask", "questions", "describe", ";"]
    return list(dict.fromkeys([*SPECIAL, *tags(), *answers, *prompt, *core.world.grammar_words()]))


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

    from vlmprobe.models.processor import ImageTextProcessor

    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 64 * 64, "longest_edge": 64 * 64},
        patch_size=8,
        merge_size=2,
        temporal_patch_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return ImageTextProcessor(images, tokenizer(), chat_template=CHAT_TEMPLATE)


def config():
    """Text: hidden 128, 4 layers, 4 heads, 2 key-value heads. Vision: hidden 128, depth 3. Tied embeddings."""
    from transformers import Qwen3VLConfig

    ids = {word: i for i, word in enumerate(vocabulary())}
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(ids),
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "max_position_embeddings": 1024,
            "initializer_range": 0.04,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 4, 4]},
            "pad_token_id": ids[PAD],
            "eos_token_id": ids[EOS],
        },
        vision_config={
            "depth": 3,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_heads": 4,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 128,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [1],
            "initializer_range": 0.04,
        },
        image_token_id=ids[IMAGE],
        video_token_id=ids[VIDEO],
        vision_start_token_id=ids[VISION_START],
        vision_end_token_id=ids[VISION_END],
        tie_word_embeddings=True,
    )


def load(name: str, directory: str | Path | None = None):
    """Loads a model of the world, "answerer" or "questioner".

    Args:
        name: which of the two.
        directory: where the checkpoints are; by default those of the package.

    Returns:
        A `vlmprobe.models.hf.VisionLanguageModel`.
    """
    from vlmprobe.models.hf import VisionLanguageModel

    return VisionLanguageModel.load(Path(directory or WEIGHTS) / name)
