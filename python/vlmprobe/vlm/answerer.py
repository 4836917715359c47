"""The model under test in this process, asked greedily."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from vlmprobe.models.protocols import Picture
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.text import neutralise
from vlmprobe.vlm.inputs import UnusablePrompts
from vlmprobe.vlm.model import VisionLanguageModel


class HFAnswerer:
    """The model under test, asked greedily.

    Args:
        model: the model.
        template: the prompt; `{question}` is replaced.
        max_new_tokens: an answer that is longer counts as truncated.
        batch_size: prompts per forward pass.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        *,
        template: str = "{question}",
        max_new_tokens: int = 8,
        batch_size: int = 256,
    ):
        self._model, self._template = model, template
        self._max_new_tokens, self._batch_size = max_new_tokens, batch_size

    @property
    def identity(self) -> str:
        return self._model.identity

    def answer(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """See `vlmprobe.models.protocols.Answerer`."""
        if len(images) != len(questions):
            raise ValueError(f"[answer] questions: expected {len(images)}, one for each image, got {len(questions)}")
        replies: list[Reply] = []
        for begin in range(0, len(questions), self._batch_size):
            part = slice(begin, begin + self._batch_size)
            texts = [self._template.replace("{question}", neutralise(question)) for question in questions[part]]
            replies += self._answered(images[part], texts)
        return replies

    def _answered(self, images: Sequence[Picture], texts: Sequence[str]) -> list[Reply]:
        """Rows that no prompt can be made of are rejected; the others are asked without them."""
        replies: dict[int, Reply] = {}
        while left := [i for i in range(len(texts)) if i not in replies]:
            try:
                prompts = self._model.prompts([images[i] for i in left], [texts[i] for i in left])
            except UnusablePrompts as error:
                warnings.warn(f"not answered: {error}", stacklevel=3)
                replies |= {left[row]: Reply(failure=Failure.REJECTED, error=why) for row, why in error.rows.items()}
                continue
            tokens = self._model.greedy(prompts, self._max_new_tokens).cpu()
            replies |= {i: self._reply(row) for i, row in zip(left, tokens, strict=True)}
        return [replies[i] for i in range(len(texts))]

    def _reply(self, tokens: Tensor) -> Reply:
        if not torch.isin(tokens, torch.tensor(self._model.eos_ids)).any():
            return Reply(failure=Failure.TRUNCATED)
        return Reply.of(self._model.decoded(tokens))
