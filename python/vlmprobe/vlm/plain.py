"""Any image-text-to-text model of transformers, by its own `forward` and `generate`.

Nothing of the model's inside is known: its processor says what it reads, its `forward` gives logits, its `generate`
keeps caches and positions. So nothing is shared either. With prompts of P tokens and G completions of T each, a group

    is run as        G (P + T) tokens, and its picture G times, where the packed way runs P + G T and the picture once
    holds            G T V logits, where the packed way holds a chunk of them
    is drawn until   its longest completion ends; a row that has ended goes on as padding

The classes of which more is known go the packed way (`vlm.model`).
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import pad

from vlmprobe.data.pixels import rgb
from vlmprobe.models.protocols import Picture
from vlmprobe.vlm.inputs import UnusablePrompts, words_of
from vlmprobe.vlm.model import VisionLanguageModel

_TEXT = ("input_ids", "attention_mask")


@dataclass(frozen=True)
class PlainPrompts:
    """N prompts of one picture and one text, padded on the left to P tokens; the face of `vlm.inputs.Prompts`."""

    ids: Tensor
    """[N, P] int64."""
    mask: Tensor
    """[N, P] int64, 1 where a token is."""
    per_token: Mapping[str, Tensor]
    """What the processor says of each token besides, [N, P]."""
    pictures: Sequence[Mapping[str, Tensor]]
    """[N] what the processor makes of each picture, as it gives it for one."""

    def repeated(self, times: int) -> PlainPrompts:
        """Each prompt `times` times in a row."""
        return self._rows([i for i in range(len(self.ids)) for _ in range(times)])

    def part(self, begin: int, end: int) -> PlainPrompts:
        """Prompts `begin` to `end`."""
        return self._rows(range(begin, end))

    def _rows(self, rows: Sequence[int]) -> PlainPrompts:
        at = torch.tensor(list(rows), device=self.ids.device)
        per_token = {name: each[at] for name, each in self.per_token.items()}
        return PlainPrompts(self.ids[at], self.mask[at], per_token, [self.pictures[i] for i in rows])

    def followed(self, tokens: Tensor, mask: Tensor) -> PlainPrompts:
        """With completions [N, T] behind them."""
        width = tokens.shape[1]
        return replace(
            self,
            ids=torch.cat([self.ids, tokens], 1),
            mask=torch.cat([self.mask, mask.to(self.mask)], 1),
            per_token={name: pad(each, (0, width)) for name, each in self.per_token.items()},
        )

    def inputs(self) -> dict[str, Tensor]:
        """What the model reads."""
        names = self.pictures[0].keys()
        pictures = {name: joined([each[name] for each in self.pictures]) for name in names}
        return {"input_ids": self.ids, "attention_mask": self.mask, **self.per_token, **pictures}


def joined(rows: Sequence[Tensor]) -> Tensor:
    """Tensors one below the other; those that are smaller in another dimension are filled up with zeros behind, which
    is how processors fill up pictures of fewer pieces."""
    largest = [max(sizes) for sizes in zip(*(row.shape[1:] for row in rows), strict=True)]

    def filled(row: Tensor) -> Tensor:
        missing = [want - have for want, have in zip(largest, row.shape[1:], strict=True)]
        return pad(row, [n for each in reversed(missing) for n in (0, each)]) if any(missing) else row

    return torch.cat([filled(row) for row in rows])


class PlainModel(VisionLanguageModel):
    """A model that is run by its own `forward` and `generate`; see the top of this module for what that costs.

    Args:
        model, processor, identity, source: as of `VisionLanguageModel`, of any class.
    """

    def __init__(self, model: Any, processor: Any, *, identity: str, source: str | None = None):
        self._open(model, processor, identity, source)
        self.unshared = (
            f"{type(model).__name__} is run by its own forward and generate, which carry picture and prompt with each "
            "of the G completions: G (P + T) tokens a group instead of P + G T, the picture G times, all logits held"
        )
        self._sizes: dict[tuple[int, int], tuple[int, Counter[int]]] = {}
        self._reads = set(inspect.signature(model.forward).parameters)

    @property
    def head(self) -> Tensor:
        """[V, H] the weight that turns hidden states into logits."""
        return self.model.get_output_embeddings().weight

    def vision_weights(self) -> dict[str, torch.nn.Parameter]:
        """All weights but those of the language part and the head, by name."""
        kept = {id(each) for part in self._language() for each in part.parameters()}
        return {name: each for name, each in self.model.named_parameters() if id(each) not in kept}

    def _language(self) -> list[Module]:
        return [self.model.get_decoder(), self.model.get_output_embeddings()]

    @property
    def language_part(self) -> str:
        """The last word of the language part's name among the model's modules."""
        decoder = self.model.get_decoder()
        return next(name for name, each in self.model.named_modules() if each is decoder).rpartition(".")[2]

    def _layers(self) -> list[Module]:
        from transformers.modeling_layers import GradientCheckpointingLayer

        return [each for each in self.model.get_decoder().modules() if isinstance(each, GradientCheckpointingLayer)]

    def _encoded(self, images: Sequence[Picture], chats: Sequence[str]) -> PlainPrompts:
        wrong: dict[int, str] = {}
        made: list[dict[str, Tensor]] = []
        for i, (image, chat) in enumerate(zip(images, chats, strict=True)):
            try:
                made.append(self.read([chat], [rgb(image.pixels)]))
                if why := self._fault(image, made[-1]):
                    wrong[i] = why
            except Exception as error:  # a processor or a decoder raises what it likes
                wrong[i] = words_of(error)
        if wrong:
            raise UnusablePrompts(images, wrong)
        return padded(made, self.pad_id)

    def _fault(self, image: Picture, found: Mapping[str, Tensor]) -> str:
        """What is wrong with a prompt: it must have the special tokens of the template and of its picture, and fit."""
        ids = found["input_ids"][0].tolist()
        if self._marks(ids) != self._size(image)[1]:
            return "the text: expected the special tokens of the chat template alone in the prompt, got others"
        fits = len(ids) < self.context
        return "" if fits else f"expected a prompt of fewer than {self.context} tokens, got {len(ids)}"

    def _marks(self, ids: Sequence[int]) -> Counter[int]:
        return self.special.count(ids) + Counter({-1: self.special.pictures(ids)})

    def _size(self, image: Picture) -> tuple[int, Counter[int]]:
        """Tokens, and special ones among them, of a prompt about no text in particular and a picture of this size."""
        size = image.pixels.size
        if size not in self._sizes:
            ids = self.read([self._chat("x")], [rgb(image.pixels)])["input_ids"][0].tolist()
            self._sizes[size] = len(ids), self._marks(ids)
        return self._sizes[size]

    def refuses(self, image: Picture) -> str:
        try:
            tokens, _ = self._size(image)
        except Exception as error:
            return f"{image.key}: {words_of(error)}"
        return "" if tokens < self.context else f"{image.key}: expected fewer than {self.context} tokens, got {tokens}"

    def logits(self, prompts: PlainPrompts, tokens: Tensor, mask: Tensor) -> Tensor:
        """[B, T, V] the logits that predict the tokens of completions [B, T], each behind its own prompt; minus
        infinity for tokens that no completion may hold."""
        whole, length = prompts.followed(tokens, mask), tokens.shape[1]
        inputs: dict[str, Any] = whole.inputs()
        if "position_ids" in self._reads and not hasattr(self.model.base_model, "get_rope_index"):
            inputs["position_ids"] = (whole.mask.cumsum(1) - 1).clamp(min=0)  # as `generate` counts them
        if "logits_to_keep" in self._reads:
            inputs["logits_to_keep"] = length + 1
        found = self.model(**inputs, use_cache=False).logits[:, -length - 1 : -1]
        return found.index_fill(2, self.banned_tokens, float("-inf"))

    @torch.no_grad()
    def greedy(self, prompts: PlainPrompts, max_new_tokens: int) -> Tensor:  # type: ignore[override]
        """[N, T] most likely tokens up to the end of text, padded."""
        return self._generated(prompts, max_new_tokens, [])

    @torch.no_grad()
    def drawn(self, prompts: PlainPrompts, max_new_tokens: int, draw: Callable[[Tensor, int], Tensor]) -> None:
        """Has `generate` take the tokens that `draw` chooses.

        Args:
            prompts: N.
            max_new_tokens: steps at most; there are fewer where all rows have ended.
            draw: gets the logits [N, V] and the step; gives the tokens [N].
        """

        def choose(ids: Tensor, scores: Tensor) -> Tensor:
            barred = scores.index_fill(1, self.banned_tokens, float("-inf"))
            token = draw(barred, ids.shape[1] - prompts.ids.shape[1])
            return torch.full_like(scores, float("-inf")).scatter_(1, token[:, None], 0.0)

        self._generated(prompts, max_new_tokens, [choose])

    def _generated(self, prompts: PlainPrompts, max_new_tokens: int, processors: list[Any]) -> Tensor:
        with bare_generation(self.model):
            found = self.model.generate(
                **prompts.inputs(),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                eos_token_id=self.eos_ids,
                pad_token_id=self.pad_id,
                logits_processor=processors,
            )
        return found[:, prompts.ids.shape[1] :]


@contextmanager
def bare_generation(model: Any) -> Iterator[None]:
    """Inside, none of the checkpoint's settings of generation (penalties, beams, forced tokens) holds."""
    from transformers import GenerationConfig

    settings = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = settings


def padded(made: Sequence[dict[str, Tensor]], pad_id: int) -> PlainPrompts:
    """Prompts of one row each, padded on the left."""
    width = max(each["input_ids"].shape[1] for each in made)

    def left(name: str, fill: int = 0) -> Tensor:
        return torch.cat([pad(each[name], (width - each[name].shape[1], 0), value=fill) for each in made])

    alike = made[0]["input_ids"].shape
    names = [name for name, each in made[0].items() if name not in _TEXT and each.shape == alike]
    pictures = [{name: each for name, each in row.items() if name not in (*_TEXT, *names)} for row in made]
    return PlainPrompts(left("input_ids", pad_id), left("attention_mask"), {n: left(n) for n in names}, pictures)
