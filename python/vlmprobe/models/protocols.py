"""What vlmprobe asks of a model: three protocols. Any object with these members will do; nothing is inherited.

Each model names itself in `identity`, e.g. "Qwen/Qwen2.5-VL-3B-Instruct@66285546": name and revision, the same string
in every run. The ledger keeps it beside every answer and verdict, so that a number is never without its judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from PIL import Image as PILImage
    from torch import Tensor

    from vlmprobe.models.replies import Criteria, Judgement, Reply


class Picture(Protocol):
    """An image as models see it; `vlmprobe.data.Image` is one."""

    @property
    def id(self) -> int:
        """Number of the image in its source."""

    @property
    def key(self) -> str:
        """Name of the image in its source."""

    @property
    def pixels(self) -> PILImage.Image:
        """RGB."""

    @property
    def sha256(self) -> str:
        """Hash of the pixels."""

    @property
    def meta(self) -> object | None:
        """What the source knows besides, such as the scene; an honest model does not look."""


@runtime_checkable
class Answerer(Protocol):
    """The model under test, frozen."""

    @property
    def identity(self) -> str:
        """Model and revision."""

    def answer(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """Answers question i about image i.

        Args:
            images: [N]; an image is repeated for each of its questions.
            questions: [N] texts, one question each.
        Returns:
            [N] replies in the order asked. What could not be answered is a Reply with a failure; an exception means
            that the whole call cannot be served.
        Raises:
            ValueError: lists of different lengths.
        """


@runtime_checkable
class Verifier(Protocol):
    """The judge, frozen: four criteria for each question, then right or wrong for each answer."""

    @property
    def identity(self) -> str:
        """Model and revision."""

    def validity(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Criteria]:
        """Judges question i about image i on the four criteria. [N] in the order asked; never a default verdict."""

    def correctness(
        self, images: Sequence[Picture], questions: Sequence[str], answers: Sequence[str]
    ) -> list[Judgement]:
        """Judges answer i to question i about image i. [N] in the order asked; never a default verdict."""


@runtime_checkable
class AnsweringVerifier(Verifier, Protocol):
    """A verifier that can be asked what it would answer itself; `vlmprobe.probe.own_answers` has it judge that."""

    def own_answers(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """[N] its answer to question i about image i, in words of its own."""


@runtime_checkable
class Embedder(Protocol):
    """Texts to unit vectors. The row of a text depends on that text alone, to the last bit: not on the others in the
    batch, their order, or what was asked before; two runs with one seed must write identical ledgers."""

    @property
    def identity(self) -> str:
        """Model and revision."""

    @property
    def name(self) -> str:
        """Short name for tables."""

    @property
    def dim(self) -> int:
        """Width D."""

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """[Q, D] float32 unit rows, on the CPU, in the order given; [0, D] for no texts."""
