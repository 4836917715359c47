"""Sampling completions, and the hidden states that predict their tokens under the current weights.

B = images x G sequences, T completion tokens, V words. Special tokens other than the end of text are banned: an image
token in a completion would crash the next forward pass. The same ban and temperature stand in the sampled and in the
recomputed log-probabilities.

Two ways give the same numbers to rounding: *packed*, where the G completions of a group share their picture and prompt
(vlm/shared_prefix.py), and *plain*, where every sequence carries its own. Models of other classes, run by their own
`forward` and `generate`, have `policy/plain.py` behind the same face, `Way`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor

from vlmprobe import grpo
from vlmprobe._native import core
from vlmprobe.vlm.inputs import Prompts
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.vlm.plain import PlainPrompts
from vlmprobe.vlm.shared_prefix import DecodingRow, PrefillRow, TrainingRow


@dataclass(frozen=True)
class Rollouts:
    """What a questioner said about I images, G times each."""

    tokens: Tensor
    """[B, T] int64, padded after the end of text."""
    logp: Tensor
    """[B, T] float32 log-probability of each token when it was drawn, 0 where masked."""
    mask: Tensor
    """[B, T] bool, true up to and including the end of text."""
    group: Tensor
    """[B] int64, the image's place in the step."""
    texts: list[str]
    """[B] completions."""
    token_ends: list[np.ndarray]
    """[B] per completion, the byte of its text at which each token ends, int64."""
    prompts: Prompts | PlainPrompts
    """The I prompts, one per image."""

    calls: int = 0
    """Answerer calls that asking took."""
    hints: Sequence[str] = ()
    """[I] what was to be asked about in each image; empty where nothing was said of it."""

    @property
    def lengths(self) -> Tensor:
        """[B] int64 tokens of each completion."""
        return self.mask.sum(1)

    def part(self, begin: int, end: int) -> Rollouts:
        """Those about images `begin` to `end`, as long as the longest of them; their groups are numbered from 0."""
        each = len(self) // len(self.prompts.ids)
        rows = slice(begin * each, end * each)
        width = max(1, int(self.mask[rows].sum(1).max()))
        return Rollouts(
            self.tokens[rows, :width],
            self.logp[rows, :width],
            self.mask[rows, :width],
            self.group[rows] - self.group[begin * each],
            self.texts[rows],
            self.token_ends[rows],
            self.prompts.part(begin, end),
            hints=self.hints[begin:end],
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        rows, length = self.tokens.shape
        return f"Rollouts({rows} sequences of up to {length} tokens, {len(self.prompts.ids)} images)"


@dataclass(frozen=True)
class Drawn:
    """The completions of a step that a questioner drew itself: what it can learn from."""

    rollouts: Rollouts
    """[b] of them, b >= 1."""
    rows: Tensor
    """[b] int64, their places among the B completions of the step."""


def drawn_of(asked: object) -> Drawn | None:
    """What of a step's completions a questioner drew: all of `Rollouts`, `asked.drawn` of others; None: nothing."""
    if isinstance(asked, Rollouts):
        return Drawn(asked, torch.arange(len(asked)))
    return getattr(asked, "drawn", None)


class PackedDecoder:
    """Prompts run once, in one row; every step runs one token of each running completion."""

    def __init__(self, model: VisionLanguageModel, prompts: Prompts, group_size: int, max_new_tokens: int):
        self._model, prefill = model, PrefillRow(prompts)
        hidden = model.run_row(prefill)
        order = torch.tensor(prefill.order, device=model.device)
        self.sequence = (order[:, None] * group_size + torch.arange(group_size, device=model.device)).flatten()
        """[B] the sequences, in the order in which this decoder has them."""
        self.hidden = hidden[prefill.last[order]].repeat_interleave(group_size, 0)
        """[B, H] the state that predicts the first token of each."""
        self._position = prompts.next_position[order].repeat_interleave(group_size)
        self._row = DecodingRow(prefill, group_size, max_new_tokens)

    def advance(self, tokens: Tensor, running: Tensor, at: int) -> Tensor:
        """Feeds token `at` of the completions `running` [R], ascending places in `sequence`; [R, H] the next states."""
        self._row.set(running, at)
        return self._model.run_tokens(tokens, self._position[running] + at, self._row)


class PlainDecoder:
    """The same with transformers' own cache, repeated for every sequence."""

    def __init__(self, model: VisionLanguageModel, prompts: Prompts, group_size: int, max_new_tokens: int):
        self._model = model
        hidden, self._cache = model.prefill(prompts)
        self._cache.batch_repeat_interleave(group_size)
        self.hidden = hidden.repeat_interleave(group_size, 0)
        self.sequence = torch.arange(len(self.hidden), device=model.device)
        self._running = self.sequence
        self._mask = prompts.mask.repeat_interleave(group_size, 0)
        self._position = prompts.next_position.repeat_interleave(group_size)

    def advance(self, tokens: Tensor, running: Tensor, at: int) -> Tensor:
        if len(running) < len(self._running):  # what has ended leaves the cache
            kept = torch.searchsorted(self._running, running)
            self._cache.batch_select_indices(kept)
            self._mask, self._running = self._mask[kept], running
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(running), 1)], dim=1)
        return self._model.advance(tokens, self._cache, self._mask, self._position[running] + at)


OnGroup = Callable[[int, Tensor, Tensor], None]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What completions are drawn with."""

    group_size: int
    max_new_tokens: int
    temperature: float
    seed: int
    step: int
    packed: bool
    groups_at_once: int | None = None
    """Groups that a model's own `generate` gets at a time; None: all. It changes draws by rounding alone."""
    on_group: OnGroup | None = None
    """Gets a group's number, its tokens [G, T] and mask as soon as all of them are drawn."""


class Way(Protocol):
    """How a model is run."""

    def sample(
        self, model: VisionLanguageModel, prompts: Prompts | PlainPrompts, draw: Draw
    ) -> tuple[Tensor, Tensor, Tensor]:
        """G completions of each prompt: tokens, log-probabilities and mask, each [B, T]."""

    def logp(self, model: VisionLanguageModel, rollouts: Rollouts, *, temperature: float, packed: bool) -> Tensor:
        """[B, T] log-probabilities of the rollouts' tokens, without gradient."""

    def loss(
        self,
        model: VisionLanguageModel,
        rollouts: Rollouts,
        *,
        advantages: Tensor,
        normalizer: float,
        ref_logp: Tensor | None,
        temperature: float,
        packed: bool,
        options: grpo.LossOptions,
    ) -> grpo.TokenLoss:
        """The GRPO loss, with gradient."""


@torch.no_grad()
def sample(model: VisionLanguageModel, prompts: Prompts, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
    """Draws G completions of each prompt. A completion that has ended costs nothing any more.

    Token t of sequence s is drawn with the number that belongs to (seed, step, s, t), so a sequence's draws do not
    depend on the others.

    Returns:
        tokens, log-probabilities and mask, each [B, T] with B = prompts x G.
    """
    group_size, max_new_tokens, on_group = draw.group_size, draw.max_new_tokens, draw.on_group
    decoder = (PackedDecoder if draw.packed else PlainDecoder)(model, prompts, group_size, max_new_tokens)
    hidden, rows = decoder.hidden, len(decoder.hidden)
    tokens = torch.full((rows, max_new_tokens), model.pad_id, device=model.device)
    logps = torch.zeros(rows, max_new_tokens, dtype=torch.float32, device=model.device)
    mask = torch.zeros(rows, max_new_tokens, dtype=torch.bool, device=model.device)
    eos = torch.tensor(model.eos_ids, device=model.device)
    running = torch.arange(rows, device=model.device)
    left = [group_size] * (rows // group_size)  # sequences that go on
    for at in range(max_new_tokens):
        sequence = decoder.sequence[running]
        numbers = core.uniform(draw.seed, core.Stream.sampling, draw.step, sequence.cpu().numpy(), at)
        token, logp = grpo.linear_draw(
            hidden, model.head, torch.from_numpy(numbers), temperature=draw.temperature, banned=model.banned_tokens
        )
        tokens[sequence, at], logps[sequence, at], mask[sequence, at] = token, logp.float(), True
        going_on = ~torch.isin(token, eos) if at + 1 < max_new_tokens else torch.zeros_like(token, dtype=torch.bool)
        if on_group is not None:
            for group in finished(sequence[~going_on].tolist(), group_size, left):
                rows_of = slice(group * group_size, (group + 1) * group_size)
                on_group(group, tokens[rows_of, : at + 1], mask[rows_of, : at + 1])
        if not going_on.all():
            running, token = running[going_on], token[going_on]
        if not len(running):
            break
        hidden = decoder.advance(token, running, at)
    length = at + 1
    return tokens[:, :length], logps[:, :length], mask[:, :length]


def finished(ended: list[int], group_size: int, left: list[int]) -> list[int]:
    """The groups whose last sequences are among `ended`; `left` counts down."""
    found = []
    for group in (sequence // group_size for sequence in ended):
        left[group] -= 1
        if left[group] == 0:
            found.append(group)
    return found


def completion_states(model: VisionLanguageModel, rollouts: Rollouts, *, packed: bool) -> Tensor:
    """[B, T, H] the hidden states that predict the rollouts' tokens under the present weights, with gradient.

    Those of masked tokens may be any.
    """
    assert isinstance(rollouts.prompts, Prompts)
    prompts = rollouts.prompts.seen_by(model)
    if packed:
        row = TrainingRow(prompts, rollouts.tokens, rollouts.mask)
        states = model.run_row(row).index_select(0, row.hidden_at.flatten())
        return states.unflatten(0, row.hidden_at.shape)
    repeated = prompts.repeated(len(rollouts) // len(prompts.ids))
    return model.states(repeated, rollouts.tokens, rollouts.mask)


class HeadWay:
    """By hidden states and the head: logits are never all held, and prompts can be shared."""

    def sample(
        self, model: VisionLanguageModel, prompts: Prompts | PlainPrompts, draw: Draw
    ) -> tuple[Tensor, Tensor, Tensor]:
        return sample(model, cast(Prompts, prompts), draw)

    def logp(self, model: VisionLanguageModel, rollouts: Rollouts, *, temperature: float, packed: bool) -> Tensor:
        return grpo.linear_logp(
            completion_states(model, rollouts, packed=packed),
            model.head,
            rollouts.tokens,
            temperature=temperature,
            mask=rollouts.mask,
            banned=model.banned_tokens,
        ).logp

    def loss(
        self,
        model: VisionLanguageModel,
        rollouts: Rollouts,
        *,
        advantages: Tensor,
        normalizer: float,
        ref_logp: Tensor | None,
        temperature: float,
        packed: bool,
        options: grpo.LossOptions,
    ) -> grpo.TokenLoss:
        return grpo.linear_loss(
            completion_states(model, rollouts, packed=packed),
            model.head,
            rollouts.tokens,
            old_logp=rollouts.logp,
            advantages=advantages,
            mask=rollouts.mask,
            normalizer=normalizer,
            ref_logp=ref_logp,
            temperature=temperature,
            banned=model.banned_tokens,
            options=options,
        )
