"""A chat model of the world behind the loopback server: it looks at the picture, and follows the hint in its prompt."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
from PIL import Image as PILImage

from support.scripted_server import body
from vlmprobe._native import core
from vlmprobe.policy.asker import tagged
from vlmprobe.world.source import WorldImages, scene_of

HINT = re.compile(r"<about>(.*?)</about>")


class Obedient:
    """Says two questions of the world about the picture, with the words of the hint where it finds such; the same to
    the same prompt, seed and picture.

    Args:
        pool: the pictures that it may be shown.
        stops_at: number of the request from which on it is out of order.
    """

    def __init__(self, pool: WorldImages, *, stops_at: int | None = None):
        self._pool, self._stops_at = [pool[i] for i in range(len(pool))], stops_at
        self.hints: list[str] = []

    def __call__(self, asked: dict[str, Any]) -> Any:
        if self._stops_at is not None and len(self.hints) >= self._stops_at:
            return 400
        parts = asked["messages"][-1]["content"]
        text = " ".join(part["text"] for part in parts if part["type"] == "text")
        url = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
        found = HINT.search(text)
        hint = found[1] if found else ""
        self.hints.append(hint)
        scene = scene_of(self._shown(url))
        drawn = [core.world.sample_question(scene, 9, asked.get("seed", 0), part).question for part in range(80)]
        fitting = [question for question in drawn if set(hint.split()) <= set(question.split())]
        return body(tagged((fitting + drawn)[:2]))

    def _shown(self, url: str):
        seen = np.asarray(PILImage.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"), dtype=float)
        return min(self._pool, key=lambda image: float(np.abs(np.asarray(image.pixels, dtype=float) - seen).mean()))
