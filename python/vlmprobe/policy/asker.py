"""What anything that asks gives back: a questioner, a model behind an endpoint, a generator of questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from vlmprobe.models.protocols import Picture

if TYPE_CHECKING:
    from vlmprobe.policy.sampling import Drawn


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

    @property
    def hints(self) -> Sequence[str]:
        """[I] what was to be asked about in each image; empty where nothing was said of it."""

    def __len__(self) -> int:
        """B."""


OnGroup = Callable[[int, list[str]], None]
"""Gets the place of an image and its completions, as soon as they are drawn."""


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


@dataclass(frozen=True)
class Completions:
    """Completions of which only the texts are known."""

    texts: list[str]
    group: Tensor
    calls: int = 0
    tokens: Sequence[int] = ()
    """[B] how many each took; empty where that is not known."""
    hints: Sequence[str] = ()
    """[I] what was to be asked about in each image; empty where nothing was said of it."""
    drawn: Drawn | None = None
    """Those of them that a questioner drew, with their tokens; None: nothing is known of any."""

    @classmethod
    def of(cls, said: Sequence[Sequence[str]], *, calls: int = 0, hints: Sequence[str] = ()) -> Completions:
        """The completions about each image."""
        group = torch.tensor([image for image, texts in enumerate(said) for _ in texts], dtype=torch.int64)
        return cls([text for texts in said for text in texts], group, calls, hints=hints)

    @property
    def token_ends(self) -> None:
        """Not known."""

    @property
    def lengths(self) -> Tensor:
        """[B] int64; zeros where they are not known."""
        return torch.tensor(self.tokens or [0] * len(self.texts), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.texts)


def tagged(questions: Sequence[str]) -> str:
    """A completion with the questions in their tags, as questioners write it.

    >>> tagged(["Why?", "How?"])
    '<response_1> Why? </response_1> <response_2> How? </response_2>'
    """
    return " ".join(f"<response_{i}> {each} </response_{i}>" for i, each in enumerate(questions, 1))
