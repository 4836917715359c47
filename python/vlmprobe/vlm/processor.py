"""Processors for image-and-text prompts that need no video processor and no torchvision.

transformers' own processors of the Qwen-VL classes ask for a video processor, which asks for torchvision; without it
`AutoProcessor` silently hands back a bare tokenizer and the image vanishes. Those of this module do without.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import transformers
from transformers import ProcessorMixin


class ImageTextProcessor(ProcessorMixin):
    """A Pillow image processor and a tokenizer, with the image token repeated once per merged patch."""

    return_mm_token_type_ids = True
    text_kwargs: ClassVar[dict] = {"return_token_type_ids": False}

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None, **kwargs):
        self.image_token = getattr(tokenizer, "image_token", None) or "<|image_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def replace_image_token(self, image_inputs: dict, image_idx: int, **kwargs) -> str:
        merged = self.image_processor.merge_size**2
        count = int(image_inputs["image_grid_thw"][image_idx].prod()) // merged
        return self.image_token * count

    @property
    def model_input_names(self):
        return [*super().model_input_names, "mm_token_type_ids"]


_SAME_FOR_PICTURES = {"SmolVLMProcessor": "Idefics3Processor"}
"""A processor that asks for more than pictures need, and one that treats pictures in the same way."""


def without_videos(model_type: str, path: str | Path, **given: str):
    """The processor of a class of models, opened without its video processor; None where the class has none. The rest
    goes to `from_pretrained`."""
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    name = PROCESSOR_MAPPING_NAMES.get(model_type)
    if name is None:
        return None
    whole = getattr(transformers, _SAME_FOR_PICTURES.get(name, name))
    return pictures_only(whole).from_pretrained(path, **given)


def pictures_only(whole: Any) -> Any:
    """A class of processors without its video processor."""
    parts = [each for each in whole.get_attributes() if each != "video_processor"]
    return type(whole.__name__, (whole,), {"get_attributes": classmethod(lambda cls: parts)})
