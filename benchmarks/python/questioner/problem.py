"""The inputs of `questioner_update`: a small Qwen2.5-VL with random weights, pictures, prompts of P tokens.

32000 words, hidden 256, 4 layers, 12.4 M parameters in all, float32. A prompt holds 64 % image tokens and 36 % words.
Every completion has T tokens: special tokens, the end of text among them, are kept from being drawn on both sides.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

VOCABULARY = 32000
SPECIAL = (
    "<|pad|>",
    "<|eos|>",
    "<|unk|>",
    "<|user|>",
    "<|assistant|>",
    "<|vision_start|>",
    "<|image_pad|>",
    "<|vision_end|>",
    "<|video_pad|>",
)
PAD, EOS, UNKNOWN = SPECIAL[:3]
PATCH, MERGE = 8, 2
SIDES = {400: (16, 16), 1000: (32, 20), 2000: (40, 32), 40: (4, 6)}  # P: the picture's sides in merged patches
AROUND = 4  # user, vision start, vision end, assistant
TEMPLATE = (
    "{% for message in messages %}<|user|>{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %} {{ part.text }} {% endif %}"
    "{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TINY = {"vocabulary": 500, "hidden": 32, "layers": 2, "width": 64}
FULL = {"vocabulary": VOCABULARY, "hidden": 256, "layers": 4, "width": 768}
LARGE = {"vocabulary": 151936, "hidden": 2048, "layers": 8, "width": 11008, "heads": 16}
"""A GPU's work: the text part of Qwen2.5-VL-3B, with 8 of its 36 layers."""
REAL = LARGE | {"layers": 4}
"""The same with 4 layers, for a CPU."""


@dataclass(frozen=True)
class Problem:
    """I images, G completions of T tokens for each, prompts of P tokens."""

    images: int
    group_size: int
    prompt: int
    completion: int
    sizes: dict
    dtype: torch.dtype = torch.float32
    """Of the weights."""
    lora: int = 0
    """Rank of the adapters that are trained; 0: the weights are."""

    @property
    def rows(self) -> int:
        return self.images * self.group_size

    @cached_property
    def tokenizer(self):
        return tokenizer(self.sizes["vocabulary"])

    @cached_property
    def processor(self):
        return processor(self.tokenizer)

    @cached_property
    def weights(self):
        """The model that each side takes a copy of."""
        torch.manual_seed(11)
        from transformers import Qwen2_5_VLForConditionalGeneration

        model = Qwen2_5_VLForConditionalGeneration(configuration(self.sizes))
        model.model.visual.requires_grad_(False)
        model.generation_config.eos_token_id = self.tokenizer.eos_token_id
        model.generation_config.pad_token_id = self.tokenizer.pad_token_id
        return model.to(self.dtype)

    def model(self):
        return copy.deepcopy(self.weights)

    def as_at_first(self, model) -> None:
        """Takes back what updates did to a side's model."""
        if not self.lora:
            model.load_state_dict(self.weights.state_dict())
        for name, weight in model.named_parameters():
            if ".lora_B." in name:
                torch.nn.init.zeros_(weight)

    @cached_property
    def pictures(self) -> list:
        """PIL pictures of noise, that give exactly the image tokens of the prompt."""
        from PIL import Image

        generator = np.random.default_rng(5)
        across, down = SIDES[self.prompt]
        shape = (down * PATCH * MERGE, across * PATCH * MERGE, 3)
        return [Image.fromarray(generator.integers(0, 256, shape, np.uint8)) for _ in range(self.images)]

    @cached_property
    def text(self) -> str:
        """Of the prompt; for `{k}` both sides write a number, which the tokenizer does not know: one token."""
        across, down = SIDES[self.prompt]
        count = self.prompt - across * down - AROUND - 1
        ids = np.random.default_rng(6).integers(len(SPECIAL), self.sizes["vocabulary"], count)
        return " ".join([*(f"w{i}" for i in ids), "{k}"])

    @cached_property
    def inputs(self) -> dict:
        """Of the I prompts, as the processor gives them."""
        content = [{"type": "image"}, {"type": "text", "text": self.text.replace("{k}", "1")}]
        chat = self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return dict(self.processor(text=[chat] * self.images, images=self.pictures, return_tensors="pt"))

    def batch(self, rows: torch.Tensor, tokens: torch.Tensor) -> dict:
        """What a model takes for these of the B rows, with their completions [., T] behind the prompts."""
        image, inputs = rows // self.group_size, self.inputs
        patches = inputs["pixel_values"].split(inputs["image_grid_thw"].prod(-1).tolist())
        ids = torch.cat([inputs["input_ids"][image], tokens], 1)
        types = torch.cat([inputs["mm_token_type_ids"][image], torch.zeros_like(tokens)], 1)
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values": torch.cat([patches[i] for i in image]),
            "image_grid_thw": inputs["image_grid_thw"][image],
            "mm_token_type_ids": types,
        }

    @property
    def special_ids(self) -> list[int]:
        return list(range(len(SPECIAL)))


def tokenizer(vocabulary: int):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate([*SPECIAL, *(f"w{i}" for i in range(len(SPECIAL), vocabulary))])}
    inner = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        extra_special_tokens=list(SPECIAL[3:]),
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def processor(words):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from vlmprobe.vlm.processor import ImageTextProcessor

    images = Qwen2VLImageProcessorPil(
        size={"shortest_edge": 16 * 16, "longest_edge": 2048 * 2048},
        patch_size=PATCH,
        merge_size=MERGE,
        temporal_patch_size=2,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
    )
    return ImageTextProcessor(images, words, chat_template=TEMPLATE)


def configuration(sizes: dict):
    from transformers import Qwen2_5_VLConfig

    ids = {word: i for i, word in enumerate(SPECIAL)}
    hidden, heads = sizes["hidden"], sizes.get("heads", 4)
    frequencies = hidden // heads // 2
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": sizes["vocabulary"],
            "hidden_size": hidden,
            "intermediate_size": sizes["width"],
            "num_hidden_layers": sizes["layers"],
            "num_attention_heads": heads,
            "num_key_value_heads": 2,
            "max_position_embeddings": 8192,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [frequencies // 2, frequencies // 4, frequencies // 4],
            },
            "pad_token_id": ids[PAD],
            "eos_token_id": ids[EOS],
        },
        vision_config={
            "depth": 4,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_heads": 4,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "window_size": 64,
            "fullatt_block_indexes": [3],
            "out_hidden_size": hidden,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
