"""Prompts of one picture and one text, tokenised, with the picture's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from vlmprobe.models.protocols import Picture


class UnusablePrompts(ValueError):
    """Rows of which no prompt can be made: a picture that the processor refuses, a text that is too long.

    Args:
        images: of all rows.
        rows: place of each that is to blame -> why.
    """

    def __init__(self, images: Sequence[Picture], rows: Mapping[int, str]):
        self.causes = dict(rows)
        """Place in the batch -> the cause."""
        self.rows = {i: f"{images[i].key}: {why}" for i, why in rows.items()}
        """Place in the batch -> the picture's key and the cause."""
        named = list(dict.fromkeys(self.rows.values()))
        more = f"; and {len(named) - 1} more" if len(named) > 1 else ""
        super().__init__(f"[prompts] {named[0]}{more}")


@dataclass(frozen=True)
class Prompts:
    """N prompts of one picture and one text, padded on the left to P tokens."""

    ids: Tensor
    """[N, P] int64."""
    mask: Tensor
    """[N, P] int64, 1 where a token is."""
    positions: Tensor
    """[3, N, P] int64 M-RoPE positions."""
    next_position: Tensor
    """[N] int64, where the text goes on."""
    features: object
    """Image features of the N pictures, as the model's own `get_image_features` gives them."""

    def repeated(self, times: int) -> Prompts:
        """Each prompt `times` times in a row, [N * times, ...]; the features are shared, not recomputed."""
        features = replace_features(self.features, lambda rows: [row for row in rows for _ in range(times)])
        return Prompts(
            self.ids.repeat_interleave(times, 0),
            self.mask.repeat_interleave(times, 0),
            self.positions.repeat_interleave(times, 1),
            self.next_position.repeat_interleave(times, 0),
            features,
        )


def replace_features(features, change):
    """A copy of image features with `change` applied to the list of per-picture rows of each level."""
    copy = type(features)(**features)
    copy.pooler_output = change(list(features.pooler_output))
    if getattr(features, "deepstack_features", None) is not None:
        copy.deepstack_features = [change(list(level)) for level in features.deepstack_features]
    return copy
