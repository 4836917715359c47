"""The questioner: a vision-language model that asks k questions about an image, and learns from what they earned."""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from vlmprobe import grpo
from vlmprobe._util.checks import check_count, check_positive, check_rows
from vlmprobe.models.protocols import Picture
from vlmprobe.policy.micro import together
from vlmprobe.policy.plain import way_of
from vlmprobe.policy.preface import Beginnings, Preface
from vlmprobe.policy.reference import Reference
from vlmprobe.policy.sampling import Draw, Rollouts
from vlmprobe.vlm.model import VisionLanguageModel

_TAG = re.compile(r"(</?response_)([1-9])>")


class Questioner:
    """Asks and learns. The language part is trained, or adapters; the vision tower stays as it is, but for adapters.

    Args:
        model: the policy.
        prompt: what the model is asked; `{k}` is replaced by the number of questions.
        max_new_tokens: length at which a completion is cut. A cut completion has no end of text.
        temperature: of sampling, > 0; the same in old and new log-probabilities.
        reference: the policy that the KL term holds on to; by default a frozen copy of `model` as given, or, where it
            has adapters, the model without them. With False, that copy is made when it is first wanted: never, where
            beta is 0. Wanted after the weights have changed it is refused (see `hold_reference`).
        packing: `packed`: the G completions of a group share their picture and prompt, in sampling and in the loss;
            `plain`: every sequence carries its own; `auto`: the cheaper one. Equal to rounding.
        checkpointing: the loss keeps the inputs of the decoder's layers only and runs them again for the gradient:
            less memory, a third more time.
        micro_groups: groups of which loss and gradient are computed at a time (see `backward`), and which a model that
            is run by its own `generate` completes at a time; by default all at once.
        preface: says at each step what is asked instead of `prompt`; by default nothing does.

    Example:
        >>> questioner = Questioner(world.tiny.load("questioner"), prompt="ask {k} questions")  # doctest: +SKIP
        >>> questioner.ask(images, k=3, group_size=8, seed=0, step=0)  # doctest: +SKIP
        Rollouts(64 sequences of up to 58 tokens, 8 images)
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        *,
        prompt: str = "ask {k} questions",
        max_new_tokens: int = 96,
        temperature: float = 1.0,
        reference: VisionLanguageModel | Literal[False] | None = None,
        packing: str = "auto",
        checkpointing: bool = False,
        micro_groups: int | None = None,
        preface: Preface | None = None,
    ):
        if "{k}" not in prompt:
            raise ValueError(f"[Questioner] prompt: expected text with {{k}} in it, got {prompt!r:.60}")
        check_positive("Questioner", "temperature", temperature)
        check_count("Questioner", "max_new_tokens", max_new_tokens)
        if micro_groups is not None:
            check_count("Questioner", "micro_groups", micro_groups)
        self.model = model
        self.prompt, self.max_new_tokens, self.temperature = prompt, max_new_tokens, temperature
        self.model.freeze_vision()
        self._reference, self._way = Reference(model, reference), way_of(model)
        self.packing, self.checkpointing, self.preface = packing, checkpointing, preface
        self.micro_groups = micro_groups
        self._check_packing()

    def with_preface(self, preface: Preface | None, *, prompt: str | None = None) -> Questioner:
        """The same weights, asked in another way."""
        other = copy.copy(self)
        other.preface, other.prompt = preface, self.prompt if prompt is None else prompt
        return other

    def anchored(self) -> Questioner:
        """The same weights, with their present values as the reference."""
        other = copy.copy(self)
        other._reference = Reference(self.model, self.model.frozen())
        return other

    @property
    def reference(self) -> VisionLanguageModel:
        """The policy that the KL term holds on to; see `hold_reference`."""
        return self.hold_reference()

    def hold_reference(self) -> VisionLanguageModel:
        """The reference, made if it was not. Where `reference=False` and beta > 0, call it before the first update and
        before a checkpoint is loaded.

        Raises:
            RuntimeError: it was not made, and the weights are no longer what they were.
        """
        return self._reference.model()

    def calls_at_most(self, *, k: int, group_size: int) -> int:
        """See `vlmprobe.policy.asker.AsksAnswerer`; a group has its first turn in common."""
        return self.preface.calls_at_most(k=k) if self.preface is not None else 0

    def _check_packing(self) -> None:
        if self.packing not in ("auto", "packed", "plain"):
            raise ValueError(f"[Questioner] packing: expected auto, packed or plain, got {self.packing!r:.60}")
        unshared = self.model.unshared or self._reference.unshared
        if unshared and self.packing == "packed":
            raise ValueError(f"[Questioner] packing: {unshared}")
        if unshared and self.packing == "auto":
            warnings.warn(f"prompts are not shared by the completions of a group: {unshared}", stacklevel=3)
            self.packing = "plain"

    def packs(self, *, prompt: int, group_size: int, completion: int | None = None) -> bool:
        """Whether groups share their prompt of so many tokens: in sampling, or, with a length, in the loss."""
        if self.packing != "auto":
            return self.packing == "packed"
        if completion is None:
            return sharing_pays_in_sampling(prompt, group_size, self.model.device.type)
        return sharing_pays_in_loss(prompt, completion, group_size)

    def cannot_ask(self, image: Picture) -> str:
        """Why it cannot ask about a picture, in words that name it; empty where it can."""
        return self.model.refuses(image)

    def can_say(self, text: str) -> bool:
        """Whether `say` takes a completion."""
        [row] = self._given([text])
        return self._fits(row)

    @property
    def identity(self) -> str:
        return self.model.identity + (f" [{self.preface.identity}]" if self.preface is not None else "")

    @property
    def learner(self) -> object:
        """Who looks at what became of the questions, if anybody does (`vlmprobe.loop.ask.learner_of`)."""
        return getattr(self.preface, "learner", self.preface)

    def parameters(self) -> list[torch.nn.Parameter]:
        """What is trained."""
        return list(self.model.weights(trained=True).values())

    def ask(
        self,
        images: Sequence[Picture],
        *,
        k: int,
        group_size: int = 1,
        seed: int,
        step: int,
        on_group: Callable[[int, list[str]], None] | None = None,
    ) -> Rollouts:
        """Samples G sequences of k questions about each image.

        Args:
            images: [I] pictures.
            k: questions per sequence, at least 1.
            group_size: sequences per image, G.
            seed, step: name the random numbers; equal names, equal draws.
            on_group: gets the place of an image and its G completions as soon as they are drawn, images in any order;
                the others are still being drawn. See `vlmprobe.run.overlap`.

        Returns:
            Rollouts of B = I x G sequences, ordered by image.
        """
        check_count("ask", "k", k)
        check_count("ask", "group_size", group_size)
        for name, value, bits in (("seed", seed, 64), ("step", step, 32)):
            if not 0 <= value < 2**bits:
                raise ValueError(f"[ask] {name}: expected 0 to 2**{bits} - 1, got {value}")
        if not images:
            raise ValueError("[ask] images: expected at least one, got none")
        begins = self._beginnings(images, k, seed, step)
        prompts = self.model.prompts(images, begins.prompts, begins.begun)

        def told(image: int, tokens: Tensor, mask: Tensor) -> None:
            said, _ = self.model.completions(tokens, mask)
            assert on_group is not None
            on_group(image, _renumbered(said, begins.slots[image : image + 1], k))

        draw = Draw(
            group_size=group_size,
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            seed=seed,
            step=step,
            packed=self.packs(prompt=prompts.ids.shape[1], group_size=group_size),
            groups_at_once=self.micro_groups,
            on_group=on_group and told,
        )
        tokens, logp, mask = self._way.sample(self.model, prompts, draw)
        texts, ends = self.model.completions(tokens, mask)
        group = torch.arange(len(images)).repeat_interleave(group_size)
        texts = _renumbered(texts, [begins.slots[i] for i in group.tolist()], k)
        return Rollouts(tokens, logp, mask, group, texts, ends, prompts, begins.calls, begins.hints)

    def _beginnings(self, images: Sequence[Picture], k: int, seed: int, step: int) -> Beginnings:
        if self.preface is not None:
            return self.preface(self.with_preface(None), images, k=k, seed=seed, step=step)
        count = len(images)
        return Beginnings([self.prompt.replace("{k}", str(k))] * count, [""] * count, [0] * count)

    @torch.no_grad()
    def say(self, images: Sequence[Picture], texts: Sequence[str], *, k: int) -> Rollouts:
        """Given completions as if they had been sampled, with their log-probabilities under the present weights.

        Args:
            images: [I] pictures.
            texts: [I] a completion about each.
            k: questions that the prompt asks for.

        Raises:
            ValueError: unequal lengths; a completion of more than `max_new_tokens` tokens with its end, or with a token
                that completions may not hold.
            UnusablePrompts: see `VisionLanguageModel.prompts`.
        """
        check_count("say", "k", k)
        check_rows("say", "texts", len(images), texts)
        rows = self._given(texts)
        tokens = torch.full((len(rows), max(map(len, rows))), self.model.special.end)
        mask = torch.zeros_like(tokens, dtype=torch.bool)
        for i, row in enumerate(rows):
            if not self._fits(row):
                expected = f"at most {self.max_new_tokens} tokens, none of them special"
                raise ValueError(f"[say] texts[{i}]: expected {expected}, got {len(row)}")
            tokens[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), True
        prompts = self.model.prompts(images, [self.prompt.replace("{k}", str(k))] * len(images))
        said, ends = self.model.completions(tokens, mask)
        group = torch.arange(len(images))
        empty = torch.zeros(tokens.shape)
        rollouts = Rollouts(tokens.to(self.model.device), empty, mask.to(self.model.device), group, said, ends, prompts)
        return replace(rollouts, logp=self._logp(self.model, rollouts))

    def _given(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens of completions, each with the end of a turn."""
        special = self.model.special
        return [[*ids, special.end] for ids in special.encode(special.as_said(texts))]

    def _fits(self, row: Sequence[int]) -> bool:
        forbidden = {*self.model.banned_ids, *self.model.eos_ids}
        return len(row) <= self.max_new_tokens and forbidden.isdisjoint(row[:-1])

    def loss(self, rollouts: Rollouts, advantages: Tensor, *, options: grpo.LossOptions) -> grpo.Loss:
        """The GRPO loss of the rollouts under the present weights; `loss.backward()` fills the gradients.

        Args:
            rollouts: as sampled.
            advantages: [B] or [B, T].
            options: clip, KL weight, reduction.
        """
        count = grpo.normalizer(rollouts.mask, reduction=options.reduction, max_length=self.max_new_tokens)
        return self._loss(rollouts, advantages.to(rollouts.logp), count, options)

    def backward(self, rollouts: Rollouts, advantages: Tensor, *, options: grpo.LossOptions) -> grpo.Loss:
        """`loss` and its gradient, which adds up on the parameters; `micro_groups` groups at a time.

        Each part is divided by the count of the whole, so that the gradients of the parts add up to that of the whole.
        """
        groups = len(rollouts.prompts.ids)
        if self.micro_groups is None or self.micro_groups >= groups:
            found = self.loss(rollouts, advantages, options=options)
            found.loss.backward()
            return found
        count = grpo.normalizer(rollouts.mask, reduction=options.reduction, max_length=self.max_new_tokens)
        parts = []
        for begin, part in self._parts(rollouts):
            credit = advantages[begin : begin + len(part)].to(rollouts.logp)
            credit = credit if credit.ndim == 1 else credit[:, : part.tokens.shape[1]]
            found = self._loss(part, credit, count, options)
            found.loss.backward()
            parts.append(grpo.Loss(found.loss.detach(), found.monitors))
        return together(parts)

    def _parts(self, rollouts: Rollouts) -> Iterator[tuple[int, Rollouts]]:
        """The rollouts of `micro_groups` groups at a time, and the place of the first of them."""
        groups = len(rollouts.prompts.ids)
        if self.micro_groups is None or self.micro_groups >= groups:
            yield 0, rollouts
            return
        for begin in range(0, groups, self.micro_groups):
            part = rollouts.part(begin, min(begin + self.micro_groups, groups))
            yield begin * (len(rollouts) // groups), part

    def _loss(
        self, rollouts: Rollouts, advantages: Tensor, normalizer: float, options: grpo.LossOptions
    ) -> grpo.TokenLoss:
        reference = self._reference_logp(rollouts) if options.beta > 0 else None
        with self.model.checkpointing() if self.checkpointing and torch.is_grad_enabled() else nullcontext():
            return self._way.loss(
                self.model,
                rollouts,
                advantages=advantages,
                normalizer=normalizer,
                ref_logp=reference,
                temperature=self.temperature,
                packed=self._packs_loss(rollouts),
                options=options,
            )

    def _packs_loss(self, rollouts: Rollouts) -> bool:
        return self.packs(
            prompt=rollouts.prompts.ids.shape[1],
            completion=rollouts.tokens.shape[1],
            group_size=len(rollouts) // len(rollouts.prompts.ids),
        )

    @torch.no_grad()
    def _reference_logp(self, rollouts: Rollouts) -> Tensor:
        model = self.hold_reference()
        with model.without_adapters() if model is self.model else nullcontext():
            return self._logp(model, rollouts)

    def _logp(self, model: VisionLanguageModel, rollouts: Rollouts) -> Tensor:
        packed, way = self._packs_loss(rollouts), way_of(model)
        found = torch.zeros(rollouts.tokens.shape, device=rollouts.tokens.device)
        for begin, part in self._parts(rollouts):
            logp = way.logp(model, part, temperature=self.temperature, packed=packed)
            found[begin : begin + len(part), : logp.shape[1]] = logp
        return found


def _renumbered(texts: Sequence[str], slots: Sequence[int], k: int) -> list[str]:
    """Completions that went on after so many slots, with theirs from 1; no byte moves, because numbers keep one digit.

    Args:
        texts: [B].
        slots: [B], or [1] for all of them.
        k: slots of a completion.
    """
    several = list(slots) * len(texts) if len(slots) == 1 else slots
    return [_from_one(text, before, k) if before else text for text, before in zip(texts, several, strict=True)]


def _from_one(text: str, before: int, k: int) -> str:
    if before + k > 9:
        raise ValueError(f"[ask] k: expected at most {9 - before} questions after {before}, got {k}")

    def number(tag: re.Match[str]) -> str:
        inside = 0 < int(tag[2]) - before <= k
        return f"{tag[1]}{int(tag[2]) - before if inside else 0}>"  # 0: the tag of no slot

    return _TAG.sub(number, text)


def sharing_pays_in_sampling(prompt: int, group_size: int, device: str = "cpu") -> bool:
    """Whether a prompt of P tokens is worth sharing among G completions: a step costs a few more operations, and spares
    the keys of (G - 1) P tokens. Measured with small models: .92 to .96 of the plain speed at P 23, 1.1 at P 50, G 8.

    On a GPU a step takes as long as its launches, whatever they read, and sharing has more of them: .8 to .95 of the
    plain speed at P 400 to 2000, G 4 to 16 (H200). There it is shared where `packing` says so.
    """
    return device != "cuda" and (group_size - 1) * prompt >= 256


def sharing_pays_in_loss(prompt: int, completion: int, group_size: int) -> bool:
    """The same where P + G T tokens are run instead of G (P + T). Measured: 1.3 times the plain speed where a sixth of
    the tokens is spared (P 23, T 45, G 2), 1.8 at G 8.

    On a GPU (H200) .8 (12 M parameters, P 400, G 8) to 3 times (P 2000), with a half to a sixth of the memory.
    """
    return (group_size - 1) * prompt >= 0.05 * group_size * (prompt + completion)
