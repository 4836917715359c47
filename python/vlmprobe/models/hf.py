"""Hugging Face vision-language models: loading, prompts, greedy answers.

Written for the Qwen2.5-VL and Qwen3-VL classes: explicit three-axis positions, image features computed once per
picture and repeated for the rows that share it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from vlmprobe.models import shared_prefix
from vlmprobe.models.prompts import Prompts, UnusablePrompts, replace_features
from vlmprobe.models.protocols import Picture
from vlmprobe.models.replies import Failure, Reply
from vlmprobe.models.special_tokens import SpecialTokens
from vlmprobe.text import neutralise

QWEN_VL = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")  # the classes whose positions and features this module knows


_NO_MASK = torch.ones(1, 1, 1, 1, dtype=torch.bool)
"""A mask of four axes is handed on as it is; attention over a shared prefix does not look at it."""


class VisionLanguageModel:
    """A model, its processor and its name.

    Args:
        model: an image-text-to-text model of transformers.
        processor: takes `text` and `images`; an `ImageTextProcessor` or the model's own.
        identity: model and revision, for the ledger.
    """

    def __init__(self, model, processor, *, identity: str):
        if not hasattr(model.model, "get_rope_index"):
            expected = "a model of the Qwen2-VL, Qwen2.5-VL or Qwen3-VL classes"
            raise ValueError(f"[VisionLanguageModel] model: expected {expected}, got {type(model).__name__}")
        self.model, self.processor, self.identity = model, processor, identity
        self.special = SpecialTokens(model, processor)
        self.eos_ids, self.pad_id, self.banned_ids = self.special.ends, self.special.pad, self.special.banned
        self.unshared = _cannot_share(model)
        """Why prompts cannot be shared by the completions of a group; empty where they can."""
        if not self.unshared:
            _replace_attention(model)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> VisionLanguageModel:
        """Loads a checkpoint folder or a hub name.

        Raises:
            ValueError: the folder holds no checkpoint, or the image would not reach the model.
        """
        from transformers import AutoModelForImageTextToText

        local = isinstance(path, Path) or str(path).startswith((".", "/", "~"))
        if local and not (Path(path) / "config.json").is_file():
            raise ValueError(f"[VisionLanguageModel.load] path: expected a folder with config.json, got {str(path)!r}")
        model = AutoModelForImageTextToText.from_pretrained(path, dtype=dtype, attn_implementation="sdpa")
        return cls(model.to(device).eval(), load_processor(path), identity=_identity(path, model))

    @property
    def adapted(self) -> bool:
        """Whether adapters sit beside the weights (see `models.lora`)."""
        return getattr(self.model, "_hf_peft_config_loaded", False)

    @contextmanager
    def without_adapters(self) -> Iterator[None]:
        """Inside, the model is as it was before `add_lora`."""
        self.model.disable_adapters()
        try:
            yield
        finally:
            self.model.enable_adapters()

    @property
    def head(self) -> Tensor:
        """[V, H] the weight that turns hidden states into logits."""
        return self.model.lm_head.weight

    @property
    def banned_tokens(self) -> Tensor:
        """[n] int64, `banned_ids` on the model's device."""
        return torch.tensor(self.banned_ids, dtype=torch.int64, device=self.device)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def prompts(self, images: Sequence[Picture], texts: Sequence[str], begun: Sequence[str] | None = None) -> Prompts:
        """Prompts for text i about image i; a picture that appears several times is encoded once.

        Args:
            images, texts: [N].
            begun: [N] what the reply begins with, as if the model had said it; by default nothing.

        Raises:
            UnusablePrompts: rows that no prompt can be made of; names each picture and the cause. A text that spells a
                special token is none of them: it reaches the model as text (see `models.special_tokens`).
        """
        if len(images) != len(texts):
            raise ValueError(f"[prompts] texts: expected {len(images)}, one for each image, got {len(texts)}")
        plain, starts = self.special.as_text(texts), self.special.as_text(begun or [])
        self._check_texts(images, plain)
        self._check_texts(images, starts)
        chats = [self._chat(text) + start for text, start in zip(plain, starts or [""] * len(plain), strict=True)]
        try:
            return self._encoded(images, chats)
        except UnusablePrompts:
            raise
        except Exception as error:  # a processor or a decoder raises what it likes: which rows are to blame?
            if wrong := self._refused(images, chats):
                raise UnusablePrompts(images, wrong) from error
            raise

    def _check_texts(self, images: Sequence[Picture], texts: Sequence[str]) -> None:
        """Before a picture is touched, so that one long text does not pad a whole batch."""
        wrong, ids = {}, self.special.encode(texts)
        for i, spelled in enumerate(self.special.spelled(texts, ids)):
            if spelled:
                wrong[i] = "the text: expected none of the tokenizer's special tokens in it"
            elif len(ids[i]) >= self.context:
                wrong[i] = f"the text: expected fewer than {self.context} tokens with the picture's, got {len(ids[i])}"
        if wrong:
            raise UnusablePrompts(images, wrong)

    def _refused(self, images: Sequence[Picture], chats: Sequence[str]) -> dict[int, str]:
        """The rows of which no prompt comes on their own, and why."""
        wrong = {}
        for i, (image, chat) in enumerate(zip(images, chats, strict=True)):
            try:
                self._encoded([image], [chat])
            except UnusablePrompts as error:
                wrong[i] = error.rows[0]
            except Exception as error:
                wrong[i] = f"the picture: {type(error).__name__}: {error}"
        return wrong

    def _encoded(self, images: Sequence[Picture], chats: Sequence[str]) -> Prompts:
        inputs = self.processor(
            text=list(chats),
            images=[image.pixels for image in images],
            padding=True,
            padding_side="left",
            return_tensors="pt",
        ).to(self.device)
        self._check_rows(images, inputs)
        positions, _ = self.model.model.get_rope_index(
            input_ids=inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            image_grid_thw=inputs["image_grid_thw"],
            attention_mask=inputs["attention_mask"],
        )
        features = self._features(images, inputs["pixel_values"], inputs["image_grid_thw"])
        following = positions.amax(dim=(0, 2)) + 1
        return Prompts(inputs["input_ids"], inputs["attention_mask"], positions, following, features)

    def _check_rows(self, images: Sequence[Picture], inputs: Mapping[str, Tensor]) -> None:
        """Each prompt has the special tokens of the template and its picture's, and fits."""
        [alone] = self.special.encode([self._chat("x")], whole=True)
        merged = self.processor.image_processor.merge_size**2
        pieces = (inputs["image_grid_thw"].prod(-1) // merged).tolist()
        wrong = {}
        for i, (row, mask) in enumerate(zip(inputs["input_ids"], inputs["attention_mask"].bool(), strict=True)):
            ids = row[mask].tolist()
            if self.special.count(ids) != self.special.count(alone) or self.special.pictures(ids) != pieces[i]:
                wrong[i] = "the text: expected the special tokens of the chat template alone in the prompt, got others"
            elif len(ids) >= self.context:
                wrong[i] = f"expected a prompt of fewer than {self.context} tokens, got {len(ids)}"
        if wrong:
            raise UnusablePrompts(images, wrong)

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may have together; as many as you like where the model does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize

    def decoded(self, tokens: Tensor) -> str:
        """A completion [T] as text up to its end, special tokens dropped (response tags are not special)."""
        ids = self.special.until_end(tokens.tolist())
        return self.processor.tokenizer.decode(ids, skip_special_tokens=True).strip()

    @torch.no_grad()
    def greedy(self, prompts: Prompts, max_new_tokens: int) -> Tensor:
        """[N, T] most likely tokens up to the end of text, padded."""
        hidden, cache = self.prefill(prompts)
        mask, position = prompts.mask, prompts.next_position
        ended = torch.zeros(len(prompts.ids), dtype=torch.bool, device=self.device)
        eos, said = torch.tensor(self.eos_ids, device=self.device), []
        for _ in range(max_new_tokens):
            token = self.model.lm_head(hidden).argmax(-1)
            said.append(torch.where(ended, self.pad_id, token))
            ended = ended | torch.isin(token, eos)
            if ended.all():
                break
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            hidden = self.advance(said[-1], cache, mask, position)
            position = position + 1
        return torch.stack(said, dim=1)

    def run_row(self, row: shared_prefix.PromptRow) -> Tensor:
        """Hidden states [N, H] of prompts, or of prompts and completions, in one row."""
        out = self.model.model(
            input_ids=row.ids,
            attention_mask=_NO_MASK.to(self.device),
            position_ids=row.positions,
            mm_encoder_outputs={"image": row.features},
            use_cache=False,
            shared=row,
        )
        return out.last_hidden_state[0]

    def run_tokens(self, tokens: Tensor, position: Tensor, row: shared_prefix.DecodingRow) -> Tensor:
        """Hidden states [R, H] of one token [R] of each running completion."""
        out = self.model.model(
            input_ids=tokens[None],
            attention_mask=_NO_MASK.to(self.device),
            position_ids=position.expand(3, 1, -1),
            use_cache=False,
            shared=row,
        )
        return out.last_hidden_state[0]

    @contextmanager
    def checkpointing(self) -> Iterator[None]:
        """Inside, the decoder's layers keep their inputs only and run again in the backward pass."""
        layers = self.model.model.language_model.layers
        if not all(layer.gradient_checkpointing for layer in layers):
            later = getattr(self.model, "activation_checkpointing_enable", None)  # its name from transformers 5.23 on
            (later or self.model.gradient_checkpointing_enable)({"use_reentrant": False})
        for layer in layers:  # transformers looks at this flag; what is inside the layers stays in evaluation mode
            layer.training = True
        try:
            yield
        finally:
            for layer in layers:
                layer.training = False

    def prefill(self, prompts: Prompts, cache=None):
        """Runs the prompts; the hidden state [N, H] after each and the filled cache."""
        out = self.model.model(
            input_ids=prompts.ids,
            attention_mask=prompts.mask,
            position_ids=prompts.positions,
            mm_encoder_outputs={"image": prompts.features},
            image_grid_thw=None,
            past_key_values=cache,
            use_cache=True,
        )
        return out.last_hidden_state[:, -1], out.past_key_values

    def advance(self, token: Tensor, cache, mask: Tensor, position: Tensor) -> Tensor:
        """One token [N] further; the hidden state [N, H]."""
        out = self.model.model(
            input_ids=token[:, None],
            attention_mask=mask,
            position_ids=position[None, :, None].expand(3, -1, -1),
            past_key_values=cache,
            use_cache=True,
        )
        return out.last_hidden_state[:, -1]

    def _chat(self, text: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": text}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )

    @torch.no_grad()
    def _features(self, images: Sequence[Picture], pixels: Tensor, grid: Tensor):
        """Features of all pictures; each distinct picture goes through the vision tower once."""
        first: dict[str, int] = {}
        which = [first.setdefault(image.sha256, i) for i, image in enumerate(images)]
        chosen = sorted(set(which))
        row_of = {index: row for row, index in enumerate(chosen)}
        patches = pixels.split(grid.prod(-1).tolist())
        features = self.model.model.get_image_features(
            torch.cat([patches[i] for i in chosen]), grid[chosen], return_dict=True
        )
        return replace_features(features, lambda rows: [rows[row_of[i]] for i in which])


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
                replies |= {left[row]: Reply(failure=Failure.REJECTED, reason=why) for row, why in error.rows.items()}
                continue
            tokens = self._model.greedy(prompts, self._max_new_tokens).cpu()
            replies |= {i: self._reply(row) for i, row in zip(left, tokens, strict=True)}
        return [replies[i] for i in range(len(texts))]

    def _reply(self, tokens: Tensor) -> Reply:
        if not torch.isin(tokens, torch.tensor(self._model.eos_ids)).any():
            return Reply(failure=Failure.TRUNCATED)
        text = self._model.decoded(tokens)
        return Reply(text=text) if text else Reply(failure=Failure.EMPTY)


def quiet() -> None:
    """Turns off transformers' progress bars, for commands that print progress of their own."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def load_processor(path: str | Path):
    """The checkpoint's processor; without torchvision, image processor and tokenizer joined by hand.

    Raises:
        ValueError: what was found cannot take images.
    """
    from transformers import AutoConfig, AutoProcessor, AutoTokenizer
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    from vlmprobe.models.processor import ImageTextProcessor

    if Path(path).is_dir() and AutoConfig.from_pretrained(path).model_type in QWEN_VL:
        images, tokenizer = Qwen2VLImageProcessorPil.from_pretrained(path), AutoTokenizer.from_pretrained(path)
        return ImageTextProcessor(images, tokenizer, chat_template=tokenizer.chat_template or _chat_template(path))
    processor = AutoProcessor.from_pretrained(path)
    if not hasattr(processor, "image_processor"):
        raise ValueError(
            f"[load_processor] path: expected a processor that takes images, got {type(processor).__name__}"
        )
    return processor


def _cannot_share(model) -> str:
    text = model.config.get_text_config()
    if model.config.model_type not in QWEN_VL:
        return f"expected a model of the Qwen2-VL, Qwen2.5-VL or Qwen3-VL classes, got {type(model).__name__}"
    if text._attn_implementation not in ("sdpa", shared_prefix.NAME):
        return f"expected attn_implementation='sdpa', got {text._attn_implementation!r}"
    if set(getattr(text, "layer_types", None) or ["full_attention"]) != {"full_attention"}:
        return "expected full attention in every layer, got a sliding window"
    return ""


def _replace_attention(model) -> None:
    """The same attention, which takes a layout as well (see shared_prefix)."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(shared_prefix.NAME, shared_prefix.attend)
    AttentionMaskInterface.register(shared_prefix.NAME, sdpa_mask)
    model.config.get_text_config()._attn_implementation = shared_prefix.NAME


def _chat_template(path: str | Path) -> str | None:
    file = Path(path) / "chat_template.jinja"
    return file.read_text() if file.is_file() else None


def _identity(path: str | Path, model) -> str:
    revision = getattr(model.config, "_commit_hash", None)
    return f"{Path(path).name}@{revision}" if revision else Path(path).name
