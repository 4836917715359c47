"""Pictures of every mode as RGB: one rule for all that a model or a person is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

_WHOLE = {"I": (255.0, 65535.0), "F": (1.0, 255.0, 65535.0)}  # greatest values that a grey picture is commonly made for
_NO_VALUE = float(np.finfo(np.float32).max)  # what some programs write where nothing was measured
_MIDDLE = 128
_FAR = 8  # times the span of all other values
_FEW = 16  # values of a mask


def rgb(picture: PILImage.Image, *, absent: float | None = None) -> PILImage.Image:
    """The picture as RGB; itself where it is that already.

    What is transparent becomes white, not the colour that is stored below it. Grey of more than 8 bits (modes `I;16`,
    `I` and `F`) is scaled linearly:

    - 16 bits from 0 .. 65535; whole numbers of 32 bits from the least of 0 .. 255 and 0 .. 65535 that holds them all,
      floating point from the least of 0 .. 1, 0 .. 255 and 0 .. 65535;
    - where the values span less than half of that, are negative or greater: from their own least and greatest value;
    - where all are equal and no range holds them: middle grey;
    - NaN, the infinities, the greatest float32 and the transparent value are no values and become white, and so is a
      least or greatest value that is farther from all others than eight times their span (a hot pixel, or -9999 where
      nothing was measured) unless these are fewer than 16.

    Args:
        picture: of any mode.
        absent: a value of grey that stands for none, besides the transparent one.

    Raises:
        ValueError: a mode that Pillow cannot turn into RGB; deep grey without a value.
    """
    transparent = picture.info.get("transparency")
    if picture.mode == "RGB" and transparent is None:
        return picture
    if picture.mode == "F" or picture.mode.startswith("I"):
        missing = [value for value in (absent, transparent) if isinstance(value, (int, float))]
        return _scaled(np.asarray(picture), _WHOLE.get(picture.mode, (65535.0,)), missing).convert("RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = PILImage.new("RGBA", picture.size, "white")
        return PILImage.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _scaled(values: NDArray[np.generic], ranges: tuple[float, ...], missing: list[float]) -> PILImage.Image:
    values = values.astype(np.float64)
    known = np.abs(values) < _NO_VALUE  # false for NaN
    for value in missing:
        known &= values != value
    if not known.any():
        raise ValueError("no pixel of it has a value")
    for value in _far(values[known]):
        known &= values != value
    low, high = float(values[known].min()), float(values[known].max())
    whole = next((whole for whole in ranges if low >= 0 and high <= whole), None)
    begin, span = 0.0, whole or 0.0
    if whole is None or 0 < high - low < whole / 2:
        begin, span = low, high - low
    grey = np.full(values.shape, float(_MIDDLE))
    if span > 0:
        grey = np.rint((np.where(known, values, low) - begin) * (255 / span))
    return PILImage.fromarray(np.where(known, grey, 255).astype(np.uint8))


def _far(values: NDArray[np.float64]) -> list[float]:
    """The least and the greatest value, where each would leave all others black or white."""
    least, greatest = float(values.min()), float(values.max())
    others = values[(values > least) & (values < greatest)]
    if len(np.unique(others[:: max(1, len(others) >> 16)])) < _FEW:
        return []
    low, high = float(others.min()), float(others.max())
    gaps = {least: low - least, greatest: greatest - high}
    return [value for value, gap in gaps.items() if gap > _FAR * (high - low)]
