"""A vision-language model of transformers behind one face: prompts, hidden states, completions, weights.

Written for the Qwen2.5-VL and Qwen3-VL classes: explicit three-axis positions, image features computed once per
picture and repeated for the rows that share it.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image as Pixels
from torch import Tensor

from vlmprobe.models.protocols import Picture
from vlmprobe.vlm import shared_prefix
from vlmprobe.vlm.inputs import Prompts, UnusablePrompts, encoded, refuses
from vlmprobe.vlm.opening import Opening
from vlmprobe.vlm.special_tokens import SpecialTokens
from vlmprobe.vlm.token_ends import TokenEnds

QWEN_VL = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")  # the classes whose positions and features this module knows


_NO_MASK = torch.ones(1, 1, 1, 1, dtype=torch.bool)
"""A mask of four axes is handed on as it is; attention over a shared prefix does not look at it."""


class VisionLanguageModel:
    """A model, its processor and its name.

    Args:
        model: an image-text-to-text model of transformers.
        processor: takes `text` and `images`; an `ImageTextProcessor` or the model's own.
        identity: model and revision, for the ledger.
        source: where another process finds the weights, for adapters that are trained beside them; None: nowhere.
    """

    def __init__(self, model, processor, *, identity: str, source: str | None = None):
        if not hasattr(model.model, "get_rope_index"):
            expected = "a model of the Qwen2-VL, Qwen2.5-VL or Qwen3-VL classes (vlm.plain.PlainModel takes others)"
            raise ValueError(f"[VisionLanguageModel] model: expected {expected}, got {type(model).__name__}")
        self._open(model, processor, identity, source)
        self.unshared = _cannot_share(model)
        """Why prompts cannot be shared by the completions of a group; empty where they can."""
        if not self.unshared:
            _replace_attention(model)

    def _open(self, model, processor, identity: str, source: str | None) -> None:
        """What models of all classes have."""
        self.model, self.processor, self.identity, self.source = model, processor, identity, source
        self.special = SpecialTokens(model, processor)
        self.token_ends = TokenEnds(processor.tokenizer)
        self.eos_ids, self.pad_id, self.banned_ids = self.special.ends, self.special.pad, self.special.banned
        if processor.tokenizer.pad_token_id is None:  # batches are padded; what pads is masked
            processor.tokenizer.pad_token_id = self.pad_id

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        base: VisionLanguageModel | str | Path | None = None,
        revision: str = "",
        attention: str = "",
        quantization: str = "",
    ) -> VisionLanguageModel:
        """Loads a checkpoint folder, a hub name, a name of `vlm.shipped`, or a folder of adapters with their base.

        Args:
            path: folder or name. A folder of adapters, such as `questioner/` of a checkpoint, is opened with the base
                that it names; what is trained further are the adapters.
            device, dtype: of the weights; float32 unless the adapters' base was trained in another type. The device
                `auto` is chosen by accelerate; weights that it spreads over several devices are run by the model's own
                forward and generate.
            base: of adapters, where it is elsewhere than they say: a model, which gets them, a folder or a name.
            revision: of a name on the hub, or of the base of adapters.
            attention: as transformers names it; by default torch's fused attention where the class has it.
            quantization: `8bit` or `4bit` by bitsandbytes; by default none. Such weights are not trained: adapters are.

        Raises:
            ValueError: the folder holds no checkpoint, the image would not reach the model, or the base of adapters is
                not there or not the one that they were trained beside.
            ModuleNotFoundError: without the extra `large`, where accelerate or bitsandbytes is needed.
        """
        from vlmprobe.vlm.load import load

        opening = Opening(device=device, dtype=dtype, revision=revision, attention=attention, quantization=quantization)
        return load(path, opening=opening, base=base)

    @property
    def adapted(self) -> bool:
        """Whether adapters sit beside the weights (see `vlm.lora`)."""
        return getattr(self.model, "_hf_peft_config_loaded", False)

    @contextmanager
    def without_adapters(self) -> Iterator[None]:
        """Inside, the model is as it was before `add_lora`."""
        self.model.disable_adapters()
        try:
            yield
        finally:
            self.model.enable_adapters()

    def frozen(self) -> VisionLanguageModel:
        """A copy whose weights do not change any more."""
        copied = copy.deepcopy(self.model).requires_grad_(False).eval()
        return type(self)(copied, self.processor, identity=self.identity, source=self.source)

    @property
    def language_part(self) -> str:
        """The last word of the language part's name among the model's modules."""
        return "language_model"

    def freeze_vision(self) -> None:
        """What reads the pictures stays as it is from here on, but for adapters beside it."""
        for name, weight in self.vision_weights().items():
            if ".lora_" not in name:
                weight.requires_grad_(False)

    def vision_weights(self) -> dict[str, torch.nn.Parameter]:
        """The weights of the vision tower by name."""
        tower = {id(each) for each in self.model.model.visual.parameters()}
        return {name: each for name, each in self.model.named_parameters() if id(each) in tower}

    def vision_layers(self) -> list[str]:
        """The names of the linear layers of the vision tower."""
        weights = {name.rpartition(".")[0] for name in self.vision_weights()}
        layers = self.model.named_modules()
        return [name for name, each in layers if name in weights and isinstance(each, torch.nn.Linear)]

    @property
    def learns_to_see(self) -> bool:
        """Whether training changes what is made of a picture."""
        return any(weight.requires_grad for weight in self.vision_weights().values())

    def weights(self, *, trained: bool = False) -> dict[str, torch.nn.Parameter]:
        """The weights by name; with `trained`, those alone that training changes."""
        return {name: each for name, each in self.model.named_parameters() if each.requires_grad or not trained}

    def names(self) -> set[str]:
        """Of all that a file of weights may hold: weights, those that are tied to others, buffers."""
        return set(self.model.state_dict())

    def save(self, folder: Path) -> None:
        """Writes weights and processor as a folder of Hugging Face, by the parameters' own names; of a model with
        adapters these alone."""
        self.model.save_pretrained(folder, save_original_format=False)
        self.processor.save_pretrained(folder)

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
                special token is none of them: it reaches the model as text (see `vlm.special_tokens`).
        """
        if len(images) != len(texts):
            raise ValueError(f"[prompts] texts: expected {len(images)}, one for each image, got {len(texts)}")
        plain, starts = self.special.as_text(texts), self.special.as_said(begun or [])
        for given, said in ((plain, False), (starts, True)):  # so that one long text does not pad a whole batch
            if wrong := self.special.wrong(given, room=self.context, said=said):
                raise UnusablePrompts(images, wrong)
        chats = [self._chat(text) + start for text, start in zip(plain, starts or [""] * len(plain), strict=True)]
        return self._encoded(images, chats)

    def _encoded(self, images: Sequence[Picture], chats: Sequence[str]):
        return encoded(self, images, chats, template=self._chat("x"))

    def refuses(self, image: Picture) -> str:
        """Why no prompt can be made about a picture of this size; empty where one can. See `vlm.inputs`."""
        return refuses(self, image)

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may have together; as many as you like where the model does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize

    def completions(self, tokens: Tensor, mask: Tensor) -> tuple[list[str], list[np.ndarray]]:
        """Completions [B, T] as text, and the byte at which each token ends.

        A token's end is the length of the text of the tokens so far; tokens that complete a character later (bytes of
        one character) end where it does. Special tokens and ends of text add nothing.
        """
        tokenizer = self.processor.tokenizer
        texts, ends = [], []
        for row, kept in zip(tokens.tolist(), mask.sum(1).tolist(), strict=True):
            words = self.special.until_end(row[:kept])
            text = tokenizer.decode(words, skip_special_tokens=True)
            found = self.token_ends(words, text)
            texts.append(text)
            ends.append(np.append(found, np.full(kept - len(words), len(text.encode()), dtype=np.int64)))
        return texts, ends

    def decoded(self, tokens: Tensor) -> str:
        """A completion [T] as text up to its end, special tokens dropped (response tags are not special), but for marks
        of thinking."""
        return self.processor.tokenizer.decode(self.special.spoken(tokens.tolist())).strip()

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

    def rope_positions(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """[3, N, P] the places of a processor's N prompts on the three axes of M-RoPE."""
        names = ("input_ids", "mm_token_type_ids", "image_grid_thw", "attention_mask")
        positions, _ = self.model.model.get_rope_index(**{name: inputs[name] for name in names})
        return positions

    def image_features(self, patches: Tensor, grid: Tensor):
        """What the vision tower makes of pictures, as the class of the model gives it.

        Args:
            patches: of all pictures, one below the other, as the processor cuts them.
            grid: [N, 3] patches of each picture in time, height and width.
        """
        return self.model.model.get_image_features(patches, grid, return_dict=True)

    def states(self, prompts: Prompts, tokens: Tensor, mask: Tensor) -> Tensor:
        """[B, T, H] the hidden states that predict the tokens of completions [B, T], each behind its own prompt."""
        length = tokens.shape[1]
        after = prompts.next_position[:, None] + torch.arange(length, device=tokens.device)
        return self.model.model(
            input_ids=torch.cat([prompts.ids, tokens], 1),
            attention_mask=torch.cat([prompts.mask, mask.to(prompts.mask)], 1),
            position_ids=torch.cat([prompts.positions, after.expand(3, -1, -1)], 2),
            mm_encoder_outputs={"image": prompts.features},
            use_cache=False,
        ).last_hidden_state[:, -length - 1 : -1]

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
        layers = self._layers()
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

    def _layers(self):
        return self.model.model.language_model.layers

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

    def read(self, chats: Sequence[str], pictures: Sequence[Pixels]) -> dict[str, Tensor]:
        """What the processor makes of chats of equal length, or of one, and of their pictures in the order in which
        they are shown; each tensor on the model's device. The chat template writes the begin of a text itself where
        there is to be one."""
        bos = self.processor.tokenizer.bos_token
        again = {"add_special_tokens": False} if bos and chats[0].startswith(bos) else {}
        found = self.processor(text=list(chats), images=list(pictures) or None, return_tensors="pt", **again)
        return {
            name: each.to(self.device, self.model.dtype if each.is_floating_point() else None)
            for name, each in found.items()
            if isinstance(each, Tensor)
        }

    def _chat(self, text: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": text}]
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )


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
