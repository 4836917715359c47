"""Small random models of the real classes, for tests."""

from __future__ import annotations

import torch

from vlmprobe.vlm.model import VisionLanguageModel
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
