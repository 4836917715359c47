"""Small pictures as data addresses, which a page or a notebook holds in itself."""

from __future__ import annotations

import base64
import io

from PIL import Image as PILImage

from vlmprobe.data.pixels import rgb


def thumbnail(image: PILImage.Image, side: int) -> str:
    """The picture as a data address: PNG when it is as small already, else a JPEG of `side` pixels at most."""
    small = max(image.size) <= min(side, 128)
    shown = rgb(image).copy()
    shown.thumbnail((side, side))
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG" if small else "JPEG", **({"optimize": True} if small else {"quality": 80}))
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
