"""What anything that asks gives back: a questioner, a model behind an endpoint, a generator of questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from vlmprobe.models.protocols import Picture


class Asked(Protocol):
    """B completions about I images; `Rollouts` is one."""

    @property
    def texts(self) -> list[str]:
        """[B] completions with the questions in their tags."""

    @property
    def group(self) -> Tensor:
        """[B] int64, the image's place in the step."""

    @property
    def token_ends(self) -> list[np.ndarray] | None:
        """[B] per completion, the byte at which each token ends; None where tokens are not known."""

    @property
    def lengths(self) -> Tensor:
        """[B] int64 tokens; 0 where they are not known."""

    @property
    def calls(self) -> int:
        """Answerer calls that asking took."""

    def __len__(self) -> int:
        """B."""


@runtime_checkable
class Asker(Protocol):
    """Asks about images; the same seed and step ask the same."""

    @property
    def identity(self) -> str:
        """Who asks, the same string in every run."""

    def ask(self, images: Sequence[Picture], *, k: int, group_size: int = 1, seed: int, step: int) -> Asked:
        """k questions in each of `group_size` completions about each image. A completion that could not be had (an
        outage) is left out: it is no invalid question."""


@runtime_checkable
class AsksAnswerer(Protocol):
    """An asker that has the answerer reply before it asks."""

    def calls_at_most(self, *, k: int, group_size: int) -> int:
        """Answerer calls that asking about one image may take."""


def refusing(asker: object) -> Callable[[Picture], str]:
    """Why an asker cannot ask about a picture, in words that name it, empty where it can: its `cannot_ask`;
    without one it takes all."""
    return getattr(asker, "cannot_ask", lambda image: "")


def affordable(asker: Asker, images: Sequence[Picture], left: int, *, k: int, group_size: int) -> Sequence[Picture]:
    """As many of the images, from the first, as asking is sure to have calls for with one to spare for what is asked;
    all of them where asking takes no call.

    Args:
        asker: who is to ask.
        images: of the step.
        left: answerer calls that may be made.
        k, group_size: as in `Asker.ask`.
    """
    most = asker.calls_at_most(k=k, group_size=group_size) if isinstance(asker, AsksAnswerer) else 0
    return images[: left // (most + 1)] if most else images


@dataclass(frozen=True)
class Completions:
    """Completions of which only the texts are known."""

    texts: list[str]
    group: Tensor
    calls: int = 0

    @classmethod
    def of(cls, said: Sequence[Sequence[str]], *, calls: int = 0) -> Completions:
        """The completions about each image."""
        group = [image for image, texts in enumerate(said) for _ in texts]
        return cls([text for texts in said for text in texts], torch.tensor(group, dtype=torch.int64), calls)

    @property
    def token_ends(self) -> None:
        """Not known."""

    @property
    def lengths(self) -> Tensor:
        """Zeros."""
        return torch.zeros(len(self.texts), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.texts)


def tagged(questions: Sequence[str]) -> str:
    """A completion with the questions in their tags, as questioners write it.

    >>> tagged(["Why?", "How?"])
    '<response_1> Why? </response_1> <response_2> How? </response_2>'
    """
    return " ".join(f"<response_{i}> {each} </response_{i}>" for i, each in enumerate(questions, 1))
