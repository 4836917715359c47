"""Drawing and scoring by a model's own `forward` and `generate` (`vlm.plain`): the draws, ban and temperature of
`policy.sampling`, from logits."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from vlmprobe import grpo
from vlmprobe._native import core
from vlmprobe.policy.sampling import Draw, HeadWay, Rollouts, Way, finished
from vlmprobe.vlm.inputs import Prompts
from vlmprobe.vlm.model import VisionLanguageModel
from vlmprobe.vlm.plain import PlainModel, PlainPrompts


class ForwardWay:
    """By the model's own `forward` and `generate`."""

    def sample(
        self, model: VisionLanguageModel, prompts: Prompts | PlainPrompts, draw: Draw
    ) -> tuple[Tensor, Tensor, Tensor]:
        groups = len(prompts.ids)
        drawing, at_once = _Drawing(model, groups * draw.group_size, draw), draw.groups_at_once or groups
        for begin in range(0, groups, at_once):
            part = cast(PlainPrompts, prompts).part(begin, min(begin + at_once, groups)).repeated(draw.group_size)
            drawing.go_on(begin * draw.group_size, len(part.ids))
            cast(PlainModel, model).drawn(part, draw.max_new_tokens, drawing)
        return drawing.found

    def logp(self, model: VisionLanguageModel, rollouts: Rollouts, *, temperature: float, packed: bool) -> Tensor:
        with torch.no_grad():
            logits = self._logits(model, rollouts)
            return grpo.token_logp(logits, rollouts.tokens, temperature=temperature, mask=rollouts.mask).logp

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
        return grpo.loss_from_logits(
            self._logits(model, rollouts),
            rollouts.tokens,
            old_logp=rollouts.logp,
            advantages=advantages,
            mask=rollouts.mask,
            normalizer=normalizer,
            ref_logp=ref_logp,
            temperature=temperature,
            options=options,
        )

    def _logits(self, model: VisionLanguageModel, rollouts: Rollouts) -> Tensor:
        prompts = cast(PlainPrompts, rollouts.prompts).repeated(len(rollouts) // len(rollouts.prompts.ids))
        return cast(PlainModel, model).logits(prompts, rollouts.tokens, rollouts.mask)


class _Drawing:
    """Chooses the tokens of B completions step by step, with the numbers that `sample` takes, and writes them down."""

    def __init__(self, model: VisionLanguageModel, rows: int, draw: Draw):
        self._draw, device = draw, model.device
        shape = rows, draw.max_new_tokens
        self._tokens = torch.full(shape, model.pad_id, device=device)
        self._logp = torch.zeros(shape, dtype=torch.float32, device=device)
        self._mask = torch.zeros(shape, dtype=torch.bool, device=device)
        self._eos = torch.tensor(model.eos_ids, device=device)
        self._left = [draw.group_size] * (rows // draw.group_size)
        self._length = 0

    def go_on(self, first: int, rows: int) -> None:
        """From here on these completions are drawn."""
        self._part = slice(first, first + rows)
        self._running = torch.arange(first, first + rows, device=self._tokens.device)

    def __call__(self, logits: Tensor, at: int) -> Tensor:
        draw, rows = self._draw, self._running
        numbers = core.uniform(draw.seed, core.Stream.sampling, draw.step, rows.cpu().numpy(), at)
        token, logp = grpo.draw_tokens(
            logits[rows - self._part.start], torch.from_numpy(numbers), temperature=draw.temperature
        )
        self._tokens[rows, at], self._logp[rows, at], self._mask[rows, at] = token, logp, True
        self._length = max(self._length, at + 1)
        going_on = ~torch.isin(token, self._eos) & (at + 1 < draw.max_new_tokens)
        self._running = rows[going_on]
        if draw.on_group is not None:
            for group in finished(rows[~going_on].tolist(), draw.group_size, self._left):
                mine = slice(group * draw.group_size, (group + 1) * draw.group_size)
                draw.on_group(group, self._tokens[mine, : at + 1], self._mask[mine, : at + 1])
        return self._tokens[self._part, at]

    @property
    def found(self) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, log-probabilities and mask, each [B, T]."""
        return tuple(each[:, : self._length] for each in (self._tokens, self._logp, self._mask))  # type: ignore[return-value]


def way_of(model: VisionLanguageModel) -> Way:
    """How a model is run."""
    return ForwardWay() if isinstance(model, PlainModel) else HeadWay()
