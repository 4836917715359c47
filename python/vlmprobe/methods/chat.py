"""Any model that is asked by message: the prompt `questioner`, or `questioner_hint` with hints; nothing is trained."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from vlmprobe._util.checks import check_count
from vlmprobe.methods.hints import Hints
from vlmprobe.models.encoded_images import EncodedImages
from vlmprobe.models.model import Message, Model, ModelReply, Request, Sampling, Status, replies_of
from vlmprobe.models.prompt_files import PromptFiles
from vlmprobe.models.protocols import Picture
from vlmprobe.models.service import BudgetSpent, Unserved, located, one_line
from vlmprobe.policy.asker import Completions

ASKING = Sampling(temperature=1.0, max_tokens=512)


class ChatAsker:
    """A model behind `vlmprobe.models.model.Model` that is told to ask.

    Args:
        model: who asks.
        prompts: one of them is used; by default the package's.
        sampling: its seed, if it has one, is the first of a row of seeds, one for each completion.
        images: pictures already encoded, to share with a judge.
        hints: who says what to ask about in each image, such as a `vlmprobe.methods.bandit.Bandit`; None: nobody. With
            hints the prompt is `questioner_hint`.

    Example:
        >>> probe(ChatAsker(client), answerer, verifier, images_of, calls=1000, k=2, seed=0)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Model,
        *,
        prompts: PromptFiles | None = None,
        sampling: Sampling = ASKING,
        images: EncodedImages | None = None,
        hints: Hints | None = None,
    ):
        self.model, self._sampling, self._hints = model, sampling, hints
        self._prompts, self._images = prompts or PromptFiles.load(), images or EncodedImages()

    @property
    def identity(self) -> str:
        """The model's, with prompt and temperature."""
        name = "questioner" if self._hints is None else "questioner_hint"
        hints = "" if self._hints is None else f"; {self._hints.identity}"
        asked = f"{name} {self._prompts.sha256(name)[:12]}; {sampled(self._sampling)}"
        return f"{self.model.identity} [{asked}{hints}]"

    @property
    def learner(self) -> object:
        """Who looks at what became of the questions, if anybody does (`vlmprobe.loop.ask.learner_of`)."""
        return self._hints

    def with_model(self, model: Model) -> ChatAsker:
        """The same, asking through another model."""
        other = copy.copy(self)
        other.model = model
        return other

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Completions:
        """See `vlmprobe.policy.asker.Asker`.

        Raises:
            BudgetSpent: the model's budget did not last.
            Unserved: no completion at all came back, so that there is nothing to ask.
        """
        check_count("ChatAsker.ask", "k", k)
        hints = [] if self._hints is None else self._hints.choose(len(images), seed=seed, step=step)
        texts = [self._prompts.render("questioner_hint", k=k, hint=hint) for hint in hints]
        texts = texts or [self._prompts.render("questioner", k=k)] * len(images)
        turns = [
            Message(role="user", text=text, images=[self._images(image)])
            for text, image in zip(texts, images, strict=True)
        ]
        said = completions(self.model, turns, group_size, self._sampling, seed=seed, step=step)
        return Completions.of(said, hints=hints)


def completions(
    model: Model, turns: Sequence[Message], group_size: int, sampling: Sampling, *, seed: int, step: int
) -> list[list[str]]:
    """What the model says to each turn, `group_size` times; what failed is left out.

    Raises:
        BudgetSpent, Unserved: as `ChatAsker.ask`.
    """
    check_count("ask", "group_size", group_size)
    requests = [
        Request(
            messages=[turn],
            sampling=_seeded(sampling, seed, step, place),
            id=f"ask-{place}",
            vote=step * len(turns) * group_size + place,  # equal prompts of other completions and steps are asked, too
        )
        for place, turn in enumerate(turn for turn in turns for _ in range(group_size))
    ]
    replies = replies_of(model, requests)
    _check(model, replies)
    said = [reply.text if reply.status is Status.OK else None for reply in replies]
    return [
        [text for text in said[i * group_size : (i + 1) * group_size] if text is not None] for i in range(len(turns))
    ]


def sampled(sampling: Sampling) -> str:
    """How it is drawn, for an identity."""
    seed = "" if sampling.seed is None else f", seed={sampling.seed}"
    return f"t={sampling.temperature:g}, top_p={sampling.top_p:g}, n={sampling.max_tokens}{seed}"


def _seeded(sampling: Sampling, seed: int, step: int, place: int) -> Sampling:
    if sampling.seed is None:
        return sampling
    return replace(sampling, seed=(sampling.seed + 7919 * seed + 104_729 * step + place) % 2**31)


def _check(model: Model, replies: Sequence[ModelReply]) -> None:
    short = sum(reply.status is Status.BUDGET for reply in replies)
    if short:
        raise BudgetSpent(
            f"[ask] the budget of {model.identity} is spent, {short} of {len(replies)} calls were not made"
        )
    if replies and not any(reply.status is Status.OK for reply in replies):
        said = one_line(replies[0].error) or "raise max_tokens, or ask for less"
        raise Unserved(
            f"[ask] {model.identity}{located(model)}: expected a completion, got {replies[0].status}: {said}"
        )
