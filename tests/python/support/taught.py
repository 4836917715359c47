"""Small models of real classes that were taught a few questions about photographs, saved as folders that load."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch

from support.tiny_models import byte_tokenizer, other
from vlmprobe.methods.sft import Row, SFTOptions, train
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.asker import tagged
from vlmprobe.policy.questioner import Questioner
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.world import tiny

PROMPT = "Ask {k} questions."
THINGS = ("hats", "towers", "roofs", "trees")
SAID = [tagged([f"How many {a} are there?", f"Are the {b} red?"]) for a, b in itertools.permutations(THINGS, 2)]
"""Completions that a taught model writes, or pieces of which it puts together."""
LENGTH = 96
"""Tokens that they take at most."""


def qwen_of_bytes(texts: Sequence[str] = SAID) -> VisionLanguageModel:
    """Qwen2.5-VL with a byte-level tokenizer, as the real ones have, of the words in the texts."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from vlmprobe.vlm.processor import ImageTextProcessor

    marks = [tiny.VISION_START, tiny.IMAGE, tiny.VISION_END, tiny.VIDEO]
    tokenizer = byte_tokenizer(f"{tiny.VISION_START}{tiny.IMAGE}{tiny.VISION_END}", marks, {}, texts)
    ids = dict(zip(marks, tokenizer.convert_tokens_to_ids(marks), strict=True))
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer) + 3,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
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
    processor = ImageTextProcessor(tiny.processor().image_processor, tokenizer, chat_template=tokenizer.chat_template)
    return VisionLanguageModel(model, processor, identity="qwen2.5-taught")


MODELS = {"Qwen2_5_VL": qwen_of_bytes, "SmolVLM": lambda: other("SmolVLM")}


def taught(name: str, folder: Path, pictures: list[Picture], *, epochs: int = 14) -> Questioner:
    """Teaches a model of MODELS to write SAID, and saves it into the folder."""
    questioner = Questioner(MODELS[name](), prompt=PROMPT, max_new_tokens=LENGTH)
    rows = [Row(picture, said) for picture in pictures for said in SAID]
    train(questioner, rows, SFTOptions(epochs=epochs, batch=8, learning_rate=3e-3))
    questioner.model.save(folder)
    return questioner
