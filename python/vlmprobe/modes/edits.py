"""Edits of a picture with a known strength, by Pillow.

crop       a side of it is cut away: what is asked about may be gone, so what the source knew of the picture is, too
downscale  its sides are divided; the picture stays whole
blur       by a Gaussian, its radius a share of the longer side
contrast   taken away: 0 leaves the picture as it is, 1 leaves its mean
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

from PIL import Image as PILImage
from PIL import ImageEnhance, ImageFilter

from vlmprobe.data.image import Image

Dose = Literal["downscale", "blur", "contrast"]
DOSES: tuple[Dose, ...] = get_args(Dose)
SIDES = ("left", "top", "right", "bottom")
LEAST = 8
"""Pixels of a side, below which no picture is made."""


def crop(image: Image, side: str, share: float) -> Image | None:
    """Without a share of it at one side; None where too little would be left.

    Raises:
        ValueError: another side, or a share outside (0, 1).
    """
    if side not in SIDES or not 0 < share < 1:
        raise ValueError(
            f"[crop] side, share: expected one of {', '.join(SIDES)} and (0, 1), got {side!r:.20}, {share}"
        )
    width, height = image.pixels.size
    cut = [0, 0, width, height]
    at = SIDES.index(side)
    size = width if at % 2 == 0 else height
    cut[at] = round(share * size) if at < 2 else size - round(share * size)
    if min(cut[2] - cut[0], cut[3] - cut[1]) < LEAST:
        return None
    return _edited(image, image.pixels.crop((cut[0], cut[1], cut[2], cut[3])), f"{side} {share:g} cut", kept=False)


def dosed(image: Image, kind: Dose, strength: float) -> Image | None:
    """The picture edited so strongly; None where it would be too small. What the source knows of it stays true.

    Args:
        image: the picture.
        kind: see the head of this file.
        strength: of `downscale` a divisor of at least 1; of the others 0 to 1.

    Raises:
        ValueError: another kind, or a strength out of its range.
    """
    if kind not in DOSES or not (strength >= 1 if kind == "downscale" else 0 <= strength <= 1):
        raise ValueError(
            f"[dosed] kind, strength: expected one of {', '.join(DOSES)} in its range, got {kind!r:.20}, {strength}"
        )
    pixels, (width, height) = image.pixels, image.pixels.size
    if kind == "downscale":
        size = max(1, round(width / strength)), max(1, round(height / strength))
        if min(size) < LEAST:
            return None
        pixels = pixels.resize(size, PILImage.Resampling.LANCZOS)
    elif kind == "blur":
        pixels = pixels.filter(ImageFilter.GaussianBlur(strength * max(width, height)))
    else:
        pixels = ImageEnhance.Contrast(pixels).enhance(1 - strength)
    return _edited(image, pixels, f"{kind} {strength:g}", kept=True)


def area(image: Image) -> int:
    """Pixels."""
    width, height = image.pixels.size
    return width * height


def _edited(image: Image, pixels: PILImage.Image, how: str, *, kept: bool) -> Image:
    return replace(image, key=f"{image.key} [{how}]", pixels=pixels, meta=image.meta if kept else None)
