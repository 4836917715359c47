"""What both sides of `questioner_update` train: a random model of the Qwen2.5-VL class, its processor, its prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

VOCABULARY = 32000
SPECIAL = ("<|pad|>", "<|eos|>", "<|unk|>", "<|user|>", "<|assistant|>", "<|vision_start|>", "<|image_pad|>",
           "<|vision_end|>", "<|video_pad|>")  # fmt: skip
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'user' %}<|user|>{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %} {{ part.text }} {% endif %}"
    "{% endfor %}{% else %}<|assistant|> {{ message.content[0].text }} <|eos|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PATCH, MERGE = 14, 2
TEMPLATE_TOKENS = 4  # user, vision start and end, assistant


@dataclass(frozen=True)
class Shape:
    """What is trained on."""

    group_size: int = 8
    prompt: int = 1000
    """Tokens of a prompt: 16/25 of them are the image's, the rest is text."""
    completion: int = 64
    prompts: int = 2

    @property
    def grid(self) -> tuple[int, int]:
        """Merged patches, rows and columns: 20 x 32 for a prompt of 1000."""
        columns = 32
        return max(1, self.prompt * 16 // 25 // columns), columns

    @property
    def image_tokens(self) -> int:
        return self.grid[0] * self.grid[1]


def processor(shape: Shape):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from vlmprobe.models.processor import ImageTextProcessor

    words = [*SPECIAL, *(f"w{i}" for i in range(VOCABULARY - len(SPECIAL)))]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<|unk|>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|eos|>", unk_token="<|unk|>", padding_side="left",
        extra_special_tokens=list(SPECIAL[3:]), clean_up_tokenization_spaces=False,
    )  # fmt: skip
    pixels = shape.image_tokens * (PATCH * MERGE) ** 2
    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": pixels, "longest_edge": pixels}, patch_size=PATCH, merge_size=MERGE,
        temporal_patch_size=2,
    )  # fmt: skip
    return ImageTextProcessor(images, tokenizer, chat_template=CHAT_TEMPLATE)


def model(seed: int = 0):
    """Hidden 256, 4 layers, V 32000, tied: 12 M parameters. The vision tower is frozen."""
    from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    ids = {word: i for i, word in enumerate(SPECIAL)}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 12, 12]},
            "pad_token_id": ids["<|pad|>"],
            "bos_token_id": None,
            "eos_token_id": ids["<|eos|>"],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_heads": 4,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": 256,
            "window_size": 112,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    made = Qwen2_5_VLForConditionalGeneration._from_config(config, attn_implementation="sdpa").float().eval()
    made.model.visual.requires_grad_(False)
    made.generation_config = GenerationConfig(eos_token_id=ids["<|eos|>"], pad_token_id=ids["<|pad|>"])
    return made


def pictures(shape: Shape) -> list[Image.Image]:
    random = np.random.default_rng(7)
    height, width = (side * PATCH * MERGE for side in shape.grid)
    return [Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(shape.prompts)]


def text(shape: Shape) -> str:
    """Words of the prompt, all but the last one: how many questions."""
    random = np.random.default_rng(8)
    words = shape.prompt - shape.image_tokens - TEMPLATE_TOKENS - 1  # and the number of questions
    return " ".join(f"w{i}" for i in random.integers(0, VOCABULARY - len(SPECIAL), words))


def forbidden() -> list[int]:
    """No completion holds a special token, the end of text among them: all have the same length, on both sides."""
    return list(range(len(SPECIAL)))
