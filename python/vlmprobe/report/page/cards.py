"""One failure of the gallery: picture, question, the answer given and the right one."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image as PILImage

from vlmprobe.data.pixels import rgb

_PIXELATED_BELOW = 160  # pixels; smaller pictures are enlarged with hard edges, larger ones reduced
_THUMBNAIL = 320


@dataclass(frozen=True, kw_only=True)
class FailureCard:
    """A valid question that the answerer got wrong."""

    family: str
    """Heading under which it is shown: a family, a skill, a topic."""
    question: str
    answer: str
    """What the answerer said."""
    truth: str | None = None
    """The right answer, where it is known."""
    image: PILImage.Image | None = None
    """The picture asked about."""
    fault: str | None = None
    """Id of the planted fault behind it."""
    reason: str = ""
    """The verifier's words."""
    source: str = ""
    """Where it is in the ledger, such as "train, step 12, image 40"."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture as the page holds it."""

    uri: str
    width: int
    height: int
    pixelated: bool


def one_of_each(cards: Sequence[FailureCard]) -> list[FailureCard]:
    """The first card of each kind, in their order: of a planted fault, else of a family."""
    found: dict[str, FailureCard] = {}
    for card in cards:
        found.setdefault(card.fault or card.family, card)
    return list(found.values())


def picture(image: PILImage.Image) -> Picture:
    """The picture as a data URI: PNG when small, else a JPEG of at most 320 pixels."""
    width, height = image.size
    small = max(width, height) < _PIXELATED_BELOW
    shown = rgb(image).copy()
    if not small:
        shown.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    shown.save(buffer, format="PNG" if small else "JPEG", **({"optimize": True} if small else {"quality": 85}))
    kind = "png" if small else "jpeg"
    uri = f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
    return Picture(uri=uri, width=shown.width, height=shown.height, pixelated=small)
