"""A vision-language model in this process that is asked by message, as a server's is: `vlmprobe.models.model.Model`.

So everything that asks models behind servers asks this one: answerers, verifiers with their votes. It goes by the
model's own `generate`, whatever its class is.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from PIL import Image as PILImage
from torch import Tensor

from vlmprobe._util.checks import check_count
from vlmprobe.data.pixels import rgb
from vlmprobe.models.model import Arrived, ModelReply, Request, Sampling, Status, Usage
from vlmprobe.vlm.drawing import Drawing
from vlmprobe.vlm.inputs import words_of
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.vlm.plain import bare_generation, padded


class LocalModel:
    """Replies to requests by a model in this process, without gradient.

    A reply depends on its request and the seed alone: not on the other requests of its batch (but for rounding), their
    order, or what was asked before. Schemas of requests are passed over.

    Args:
        model: of any class.
        identity: the name in the ledger; by default the model's.
        adapters: whether its adapters are on, where it has some.
        batch_size: requests that are run at a time.
        seed: of sampling, beside the request's own.

    Example:
        >>> verifier = ModelVerifier(LocalModel(VisionLanguageModel.load("judge")))  # doctest: +SKIP
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        *,
        identity: str = "",
        adapters: bool = True,
        batch_size: int = 8,
        seed: int = 0,
    ):
        check_count("LocalModel", "batch_size", batch_size)
        self._model, self._identity, self._adapters = model, identity or model.identity, adapters
        self._batch_size, self._seed = batch_size, seed

    @property
    def identity(self) -> str:
        """Model and revision."""
        return self._identity

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        """[N] replies in the order of the requests. What no prompt can be made of is `rejected`, and what is cut at the
        request's length, or at the model's context, `truncated`."""
        return self.stream(requests, lambda new: None)

    def stream(self, requests: Sequence[Request], arrived: Arrived) -> list[ModelReply]:
        """As `reply`; `arrived` gets the replies of each batch."""
        replies: dict[int, ModelReply] = {}
        for places in self._batches(requests):
            new = list(zip(places, self._replied([requests[i] for i in places]), strict=True))
            replies.update(new)
            arrived(new)
        return [replies[i] for i in range(len(requests))]

    def _batches(self, requests: Sequence[Request]) -> Iterator[list[int]]:
        """Places of requests that can be run together: drawn in one way, all with pictures or all without."""
        alike = defaultdict[tuple[float, float, int, bool], list[int]](list)
        for place, request in enumerate(requests):
            drawn = request.sampling
            pictured = any(message.images for message in request.messages)
            alike[drawn.temperature, drawn.top_p, drawn.max_tokens, pictured].append(place)
        for places in alike.values():
            for begin in range(0, len(places), self._batch_size):
                yield places[begin : begin + self._batch_size]

    def _replied(self, requests: Sequence[Request]) -> list[ModelReply]:
        began = time.monotonic()
        prompts: dict[int, dict[str, Tensor]] = {}
        replies: dict[int, ModelReply] = {}
        for i, request in enumerate(requests):
            try:
                prompts[i] = self._read(request)
            except Exception as error:  # a processor or a decoder raises what it likes
                replies[i] = ModelReply(status=Status.REJECTED, error=words_of(error))
        if prompts:
            keys = [self._key(requests[i]) for i in prompts]
            said = self._generated(list(prompts.values()), keys, requests[0].sampling)
            seconds = time.monotonic() - began
            for (i, prompt), tokens in zip(prompts.items(), said, strict=True):
                replies[i] = self._reply(prompt["input_ids"].shape[1], tokens, seconds)
        return [replies[i] for i in range(len(requests))]

    @torch.no_grad()
    def _generated(self, prompts: Sequence[dict[str, Tensor]], keys: Sequence[int], sampling: Sampling) -> Tensor:
        """[N, T] tokens up to the longest reply's end; what comes behind an end is of no meaning."""
        model, batch = self._model, padded(prompts, self._model.pad_id)
        width = batch.ids.shape[1]
        drawing = Drawing(keys, sampling, banned=model.banned_tokens, behind=width)
        with bare_generation(model.model), self._as_it_was():
            found: Tensor = model.model.generate(
                **batch.inputs(),
                max_new_tokens=min(sampling.max_tokens, model.context - width),
                do_sample=False,
                eos_token_id=model.eos_ids,
                pad_token_id=model.pad_id,
                logits_processor=[drawing],
            )
        return found[:, width:]

    def _as_it_was(self) -> AbstractContextManager[None]:
        """Inside, adapters that do not belong to this model are off."""
        off = self._model.adapted and not self._adapters
        return self._model.without_adapters() if off else nullcontext()

    def _key(self, request: Request) -> int:
        """Names the random numbers of a reply."""
        turns = [[each.role, each.text, [image.sha256 for image in each.images]] for each in request.messages]
        content = json.dumps([self._seed, turns, vars(request.sampling), request.vote])
        return int.from_bytes(hashlib.sha256(content.encode("utf-8", "replace")).digest()[:8], "big")

    def _reply(self, prompt_tokens: int, tokens: Tensor, seconds: float) -> ModelReply:
        ends = torch.isin(tokens, torch.tensor(self._model.eos_ids, device=tokens.device)).nonzero()
        length = int(ends[0]) + 1 if len(ends) else len(tokens)
        return ModelReply(
            status=Status.OK if len(ends) else Status.TRUNCATED,
            text=self._model.decoded(tokens),
            finish_reason="stop" if len(ends) else "length",
            usage=Usage(prompt_tokens=prompt_tokens, completion_tokens=length),
            latency_s=seconds,
        )

    def _read(self, request: Request) -> dict[str, Tensor]:
        """A prompt, each tensor as the processor gives it.

        Raises:
            ValueError: special tokens could not be kept out of a text; it does not fit into the model's context.
        """
        model = self._model
        texts = model.special.as_text([message.text for message in request.messages])
        if wrong := model.special.wrong(texts, room=model.context):
            raise ValueError(next(iter(wrong.values())))
        chat = self._chat(request, texts)
        if self._marks(chat) != self._marks(self._chat(request, ["x"] * len(texts))):
            raise ValueError("the text: expected the special tokens of the chat template alone, got others")
        pictures = [
            rgb(PILImage.open(io.BytesIO(image.data))) for message in request.messages for image in message.images
        ]
        found = model.read([chat], pictures)
        length = found["input_ids"].shape[1]
        if length >= model.context:
            raise ValueError(f"the text: expected a prompt of fewer than {model.context} tokens, got {length}")
        return found

    def _chat(self, request: Request, texts: Sequence[str]) -> str:
        turns = []
        for message, text in zip(request.messages, texts, strict=True):
            pictures = [{"type": "image"} for _ in message.images]
            turns.append({"role": message.role, "content": [*pictures, {"type": "text", "text": text}]})
        chat: str = self._model.processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        return chat

    def _marks(self, chat: str) -> tuple[object, int]:
        """The special tokens of a chat."""
        [ids] = self._model.special.encode([chat], whole=True)
        return self._model.special.count(ids), self._model.special.pictures(ids)
