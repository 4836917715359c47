"""A processor for image-and-text prompts that needs no video processor and no torchvision.

transformers' own processors of the Qwen-VL classes ask for a video processor, which asks for torchvision; without it
`AutoProcessor` silently hands back a bare tokenizer and the image vanishes. This one takes the Pillow image processor.
"""

from __future__ import annotations

from typing import ClassVar

from transformers import ProcessorMixin


class ImageTextProcessor(ProcessorMixin):
    """An image processor and a tokenizer, with the image token repeated once per merged patch."""

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
