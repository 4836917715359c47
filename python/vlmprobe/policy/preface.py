"""What a questioner is asked, decided at each step: a hint, or a first turn of questions and replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vlmprobe.models.protocols import Picture

if TYPE_CHECKING:
    from vlmprobe.policy.questioner import Questioner


@dataclass(frozen=True)
class Beginnings:
    """What is asked about each of I images, the same for its whole group, and how its completions begin."""

    prompts: list[str]
    """[I] what the model is asked."""
    begun: list[str]
    """[I] what each completion begins with, given and not learned; empty for nothing."""
    slots: list[int]
    """[I] questions in it, after which those of the completion are numbered; the completion's text has them from 1."""
    calls: int = 0
    """Answerer calls that this took."""
    hints: Sequence[str] = ()
    """[I] what is to be asked about in each; empty where nothing is said of it."""


class Preface(Protocol):
    """Decides at each step what a questioner is asked: with a hint, or after a first turn of questions and replies."""

    @property
    def identity(self) -> str:
        """Which one, the same string in every run."""

    def calls_at_most(self, *, k: int) -> int:
        """Answerer calls for one image."""

    def __call__(
        self, questioner: Questioner, images: Sequence[Picture], *, k: int, seed: int, step: int
    ) -> Beginnings:
        """The beginnings; `questioner` is the one that asks, without its preface."""
