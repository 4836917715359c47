"""The model under test: a function that gets pictures and questions, and gives an answer to each.

Whatever has such a function can be probed. This one asks a model of transformers, one question at a time; put your own
code in its place.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

NAME = os.environ.get("MY_MODEL", "HuggingFaceTB/SmolVLM-256M-Instruct")
"""A name on the hub, or a folder."""


def answer(pictures: list[Image.Image], questions: list[str]) -> list[str | None]:
    """An answer to each question about the picture in the same place; None where there is none."""
    return [answer_one(picture, question) for picture, question in zip(pictures, questions, strict=True)]


def answer_one(picture: Image.Image, question: str) -> str | None:
    """The model's answer, of at most 64 tokens."""
    model, processor = loaded()
    content = [{"type": "image", "image": picture}, {"type": "text", "text": f"{question} Answer briefly."}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
    ).to(model.device)  # fmt: skip
    with torch.inference_mode():
        said = model.generate(**inputs, max_new_tokens=64, do_sample=False)
    text = processor.decode(said[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return text.strip() or None


@cache
def loaded() -> tuple[Any, Any]:
    """The model and its processor, loaded when they are first asked for."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return AutoModelForImageTextToText.from_pretrained(NAME).to(device).eval(), AutoProcessor.from_pretrained(NAME)
