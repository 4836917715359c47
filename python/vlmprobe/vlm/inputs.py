"""Pictures and chats to prompts, and which row is to blame where they cannot be made.

A batch is made at once. Only where that fails is each row made alone: what fails then as well is a row that no prompt
can be made of, and the others are none the worse for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vlmprobe.data.pixels import rgb
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
    patches: Sequence[Tensor] = ()
    """[N] the pictures as the processor cuts them, each with its `grid`; empty where they are not looked at again."""
    grid: Tensor | None = None
    """[N, 3] int64 patches of each picture in time, height and width."""

    def seen_by(self, model) -> Prompts:
        """With what a model makes of the pictures under its present weights, with gradient; as they are, where the
        pictures were not kept because no training changes that."""
        if self.grid is None:
            return self
        return replace(self, features=_features(model, self.patches, self.grid))

    def repeated(self, times: int) -> Prompts:
        """Each prompt `times` times in a row, [N * times, ...]; the features are shared, not recomputed."""
        features = replace_features(self.features, lambda rows: [row for row in rows for _ in range(times)])
        return Prompts(
            self.ids.repeat_interleave(times, 0),
            self.mask.repeat_interleave(times, 0),
            self.positions.repeat_interleave(times, 1),
            self.next_position.repeat_interleave(times, 0),
            features,
            [each for each in self.patches for _ in range(times)],
            None if self.grid is None else self.grid.repeat_interleave(times, 0),
        )

    def part(self, begin: int, end: int) -> Prompts:
        """Prompts `begin` to `end`."""
        rows = slice(begin, end)
        return Prompts(
            self.ids[rows],
            self.mask[rows],
            self.positions[:, rows],
            self.next_position[rows],
            replace_features(self.features, lambda each: each[rows]),
            self.patches[rows],
            None if self.grid is None else self.grid[rows],
        )


def replace_features(features, change):
    """A copy of image features with `change` applied to the list of per-picture rows of each level."""
    copy = type(features)(**features)
    copy.pooler_output = change(list(features.pooler_output))
    if getattr(features, "deepstack_features", None) is not None:
        copy.deepstack_features = [change(list(level)) for level in features.deepstack_features]
    return copy


def encoded(model, images: Sequence[Picture], chats: Sequence[str], *, template: str) -> Prompts:
    """Prompts of chats with one picture each.

    Args:
        model: a `VisionLanguageModel`.
        images: [N]; a picture that appears several times goes through the vision tower once.
        chats: [N] as the chat template writes them, in which no text spells a special token.
        template: such a chat about no text in particular.

    Raises:
        UnusablePrompts: rows that fail alone, too.
    """
    try:
        return _made(model, images, chats, template)
    except UnusablePrompts:
        raise
    except Exception as error:  # a processor or a decoder raises what it likes
        if wrong := _to_blame(model, images, chats, template):
            raise UnusablePrompts(images, wrong) from error
        raise


def refuses(model, image: Picture) -> str:
    """Why the processor takes no picture of this size, in words that name it; empty where it takes it."""
    try:
        width, height = image.pixels.size
        patches = model.processor.image_processor.get_number_of_image_patches(height, width)
    except Exception as error:
        return f"{image.key}: {words_of(error)}"
    tokens = patches // model.processor.image_processor.merge_size**2
    return "" if tokens < model.context else f"{image.key}: expected fewer than {model.context} tokens, got {tokens}"


def _to_blame(model, images: Sequence[Picture], chats: Sequence[str], template: str) -> dict[int, str]:
    wrong = {}
    for i, (image, chat) in enumerate(zip(images, chats, strict=True)):
        try:
            _made(model, [image], [chat], template)
        except Exception as error:
            wrong[i] = error.causes[0] if isinstance(error, UnusablePrompts) else words_of(error)
    return wrong


def words_of(error: Exception) -> str:
    """What a processor or a decoder raised, as a cause."""
    return f"the picture: {error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _made(model, images: Sequence[Picture], chats: Sequence[str], template: str) -> Prompts:
    inputs = model.processor(
        text=list(chats),
        images=[rgb(image.pixels) for image in images],
        padding=True,
        padding_side="left",
        return_tensors="pt",
    ).to(model.device)
    _check(model, images, inputs, template)
    positions = model.rope_positions(inputs)
    grid = inputs["image_grid_thw"]
    patches = inputs["pixel_values"].split(grid.prod(-1).tolist())
    with torch.no_grad():
        features = _features(model, patches, grid)
    following = positions.amax(dim=(0, 2)) + 1
    kept = {"patches": patches, "grid": grid} if model.learns_to_see else {}
    return Prompts(inputs["input_ids"], inputs["attention_mask"], positions, following, features, **kept)


def _check(model, images: Sequence[Picture], inputs: Mapping[str, Tensor], template: str) -> None:
    """Each prompt has the special tokens of the template and its picture's, and fits."""
    [alone] = model.special.encode([template], whole=True)
    pieces = (inputs["image_grid_thw"].prod(-1) // model.processor.image_processor.merge_size**2).tolist()
    wrong = {}
    for i, (row, mask) in enumerate(zip(inputs["input_ids"], inputs["attention_mask"].bool(), strict=True)):
        ids = row[mask].tolist()
        if model.special.count(ids) != model.special.count(alone) or model.special.pictures(ids) != pieces[i]:
            wrong[i] = "the text: expected the special tokens of the chat template alone in the prompt, got others"
        elif len(ids) >= model.context:
            wrong[i] = f"expected a prompt of fewer than {model.context} tokens, got {len(ids)}"
    if wrong:
        raise UnusablePrompts(images, wrong)


def _digest(patches: Tensor, size: Sequence[int]) -> bytes:
    return hashlib.blake2b(
        patches.cpu().contiguous().view(torch.uint8).numpy().tobytes() + str(size).encode(), digest_size=16
    ).digest()


def _features(model, patches: Sequence[Tensor], grid: Tensor):
    """Features of all pictures; each distinct picture goes through the vision tower once. Pictures are the same where
    their patches are, whatever they call themselves."""
    first: dict[bytes, int] = {}
    which = [first.setdefault(_digest(patches[i], size), i) for i, size in enumerate(grid.tolist())]
    chosen = sorted(set(which))
    row_of = {index: row for row, index in enumerate(chosen)}
    features = model.image_features(torch.cat([patches[i] for i in chosen]), grid[chosen])
    return replace_features(features, lambda rows: [rows[row_of[i]] for i in which])
