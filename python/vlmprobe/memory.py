"""What was found so far: embeddings of the wrongly answered questions per image, and counts of prefixes.

Two phases: :meth:`QuestionMemory.novelty` is pure and sees committed questions only; :meth:`QuestionMemory.commit`
enters questions once per key (run, step, sequence, slot). Until a step is committed the memory is the snapshot of its
start.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from vlmprobe import _core
from vlmprobe.text import DEFAULT_PREFIX_LENGTH, Questions

PrefixCounts = _core.PrefixCounts

Integers = Sequence[int] | np.ndarray | torch.Tensor
"""A column of integers: a list, an array or a tensor."""

_Choice = TypeVar("_Choice", _core.Backend, _core.Within)


def _choice(op: str, name: str, kind: type[_Choice], value: str) -> _Choice:
    if value not in kind.__members__:
        raise ValueError(f"[{op}] {name}: expected one of {', '.join(kind.__members__)}, got {value!r}")
    return kind.__members__[value]


def lexical_novelty(counts: _core.PrefixCounts, questions: Questions | Sequence[str]) -> torch.Tensor:
    """1 / (1 + count of the question's prefix) for a whole batch, in one call; the counts do not change.

    Args:
        counts: Prefixes of the questions so far (`add`, `add_all`, `counts_of`).
        questions: [Q] texts, or what `text.parse_responses` returned, whose texts are then not made.

    Returns:
        [Q] float64 in (0, 1]; NaN for a row of a table that holds no question.

    Example:
        >>> counts = PrefixCounts()
        >>> counts.add_all(["How many cats?"])
        >>> lexical_novelty(counts, ["How many dogs?", "Why?"])
        tensor([0.5000, 1.0000], dtype=torch.float64)
    """
    if not isinstance(questions, Questions):
        return counts.lexical_novelty(list(questions))
    return counts.lexical_novelty(questions.native)


@dataclass(frozen=True)
class Neighbours:
    """The nearest rows of each query, best first, equal scores by the lower id."""

    score: torch.Tensor
    """[Q, k] float64 inner products."""
    id: torch.Tensor
    """[Q, k] int64 places in the order of adding."""


class EmbeddingBank:
    """Exact nearest neighbours by inner product over unit rows.

    Args:
        dim: Width of the rows.
        backend: ``automatic`` (the fastest), ``native``, ``aten``, or ``faiss`` where the build has it; results are the
            same, bit for bit.

    Raises:
        ValueError: dim out of range, an unknown backend, or FAISS in a build without it.

    Example:
        >>> bank = EmbeddingBank(2)
        >>> bank.add(torch.eye(2))
        >>> bank.nearest(torch.tensor([[0.6, 0.8]]), k=1).id
        tensor([[1]])
    """

    def __init__(self, dim: int, *, backend: str = "automatic"):
        self._core = _core.EmbeddingBank(dim, _choice("memory::EmbeddingBank", "backend", _core.Backend, backend))

    def add(self, rows: torch.Tensor) -> None:
        """Append [n, D] float32 rows of unit length (to within 1e-3); ValueError names the first row that is not."""
        self._core.add(torch.as_tensor(rows))

    def nearest(self, queries: torch.Tensor, *, k: int) -> Neighbours:
        """The k nearest rows of each of the [Q, D] float32 unit queries; ValueError for a k above the rows stored."""
        return Neighbours(*self._core.nearest(torch.as_tensor(queries), k))

    @property
    def backend(self) -> str:
        """The backend in use: ``native``, ``aten`` or ``faiss``."""
        return self._core.backend.name

    def __len__(self) -> int:
        return len(self._core)

    def __repr__(self) -> str:
        return f"EmbeddingBank({len(self)} rows, dim={self._core.dim}, backend={self.backend!r})"


class ApproximateBank:
    """Most of the nearest rows of one very large bank, in a fraction of the time of an exact search.

    Rows are put into lists by the nearest of ``lists`` centres; a query is compared with the rows of the ``probes``
    lists whose centres are nearest to it. Scores are exact; only which rows are looked at is approximate.

    Args:
        rows: [N, D] float32 unit rows, at least one; the centres come from a sample of them.
        lists: 1 to N; ``None`` for four times the square root of N, at most a quarter of N.
        probes: At least 1; as many as ``lists`` or more makes the search exact.

    Raises:
        ValueError: A value out of range, rows that are no unit rows, or a build without FAISS.

    Example:
        >>> bank = ApproximateBank(torch.eye(4), lists=2, probes=2)
        >>> bank.nearest(torch.eye(4), k=1).id.flatten().tolist()
        [0, 1, 2, 3]
        >>> bank.recall(torch.eye(4), k=2)
        1.0

    Source: inverted lists as in Jegou, Douze, Schmid, "Product quantization for nearest neighbor search", 2011.
    """

    def __init__(self, rows: torch.Tensor, *, lists: int | None = None, probes: int = _core.DEFAULT_PROBES):
        if lists is not None and lists < 1:
            raise ValueError(f"[memory::ApproximateBank] lists: expected at least 1, or None, got {lists}")
        self._core = _core.ApproximateBank(torch.as_tensor(rows), lists or 0, probes)

    def add(self, rows: torch.Tensor) -> None:
        """Append [n, D] float32 unit rows to the lists that are there."""
        self._core.add(torch.as_tensor(rows))

    def nearest(self, queries: torch.Tensor, *, k: int) -> Neighbours:
        """k near rows of each of the [Q, D] float32 unit queries; ValueError for a k above the rows stored."""
        return Neighbours(*self._core.nearest(torch.as_tensor(queries), k))

    def recall(self, queries: torch.Tensor, *, k: int) -> float:
        """The share of the exact k nearest rows that :meth:`nearest` finds, by also searching exactly."""
        return self._core.recall(torch.as_tensor(queries), k)

    @property
    def lists(self) -> int:
        """Lists that the rows are in."""
        return self._core.lists

    @property
    def probes(self) -> int:
        """Lists that a query looks at."""
        return self._core.probes

    def __len__(self) -> int:
        return len(self._core)

    def __repr__(self) -> str:
        return f"ApproximateBank({len(self)} rows, dim={self._core.dim}, lists={self.lists}, probes={self.probes})"


@dataclass(frozen=True)
class Novelty:
    """How new each question is against the committed ones."""

    semantic: torch.Tensor
    """[Q] float64 in [0, 1]: 1 - the largest cosine to a question on the same image; 1 if there is none."""
    lexical: torch.Tensor
    """[Q] float64 in (0, 1]: 1 / (1 + number of questions with the same prefix)."""


def _integers(values: Integers) -> torch.Tensor:
    tensor = torch.as_tensor(values)
    if tensor.numel() == 0:
        tensor = tensor.to(torch.int64)
    wide = tensor.dtype in (torch.int8, torch.int16, torch.int32, torch.uint8)
    return (tensor.to(torch.int64) if wide else tensor).detach().cpu().contiguous()


class QuestionMemory:
    """The questions that the answerer got wrong.

    Args:
        dim: Width of the embeddings.
        prefix_length: Words of a prefix, the paper's L.
        backend: As in :class:`EmbeddingBank`.

    Example:
        >>> memory = QuestionMemory(2)
        >>> rows = dict(image=[7], embeddings=torch.tensor([[1.0, 0.0]]), texts=["How many?"])
        >>> memory.commit("run", step=0, sequence=[0], slot=[0], **rows)
        1
        >>> memory.novelty(**rows).lexical
        tensor([0.5000], dtype=torch.float64)
    """

    def __init__(self, dim: int, *, prefix_length: int = DEFAULT_PREFIX_LENGTH, backend: str = "automatic"):
        choice = _choice("memory::QuestionMemory", "backend", _core.Backend, backend)
        self._core = _core.QuestionMemory(dim, prefix_length, choice)

    def novelty(
        self,
        image: Integers,
        *,
        embeddings: torch.Tensor,
        texts: Sequence[str],
        within: str = "none",
        sequence: Integers | None = None,
        slot: Integers | None = None,
    ) -> Novelty:
        """How new the questions are; changes nothing.

        Args:
            image: [Q] integers, labels of the images.
            embeddings: [Q, D] float32 rows of unit length, on the CPU.
            texts: [Q] questions.
            within: ``none``, or also count questions of this batch that come earlier in the order (sequence, slot), of
                the same ``sequence`` or of the whole ``step``.
            sequence, slot: [Q] integers; needed unless ``within`` is ``none``.

        Raises:
            ValueError: Another shape, dtype or value; the message names the argument and the row.
        """
        keys = [None if column is None else _integers(column) for column in (sequence, slot)]
        choice = _choice("memory::novelty", "within", _core.Within, within)
        return Novelty(*self._core.novelty(_integers(image), torch.as_tensor(embeddings), list(texts), choice, *keys))

    def commit(
        self,
        run: str,
        *,
        step: int,
        image: Integers,
        embeddings: torch.Tensor,
        texts: Sequence[str],
        sequence: Integers,
        slot: Integers,
    ) -> int:
        """Enter questions; those whose key (run, step, sequence, slot) was seen before are ignored.

        Args:
            run: The run's name.
            step: The step's number.
            image, embeddings, texts, sequence, slot: As in :meth:`novelty`.

        Returns:
            The number of questions that were new.
        """
        columns = [_integers(column) for column in (sequence, slot)]
        return self._core.commit(run, step, _integers(image), torch.as_tensor(embeddings), list(texts), *columns)

    def nearest(self, image: Integers, *, embeddings: torch.Tensor, k: int) -> Neighbours:
        """The k nearest questions on each row's image.

        Args:
            image: [Q] integers, labels of images that have questions.
            embeddings: [Q, D] float32 rows of unit length, on the CPU.
            k: At least 1, at most the number of questions on each of the images.

        Returns:
            Neighbours whose ``id`` is a place in the order in which that image's questions came.
        """
        return Neighbours(*self._core.nearest(_integers(image), torch.as_tensor(embeddings), k))

    def crowding(self, embeddings: torch.Tensor, *, floor: float) -> torch.Tensor:
        """How crowded it is around each embedding: the sum over all questions, on whatever image, of
        max(0, (cosine - floor) / (1 - floor)).

        Args:
            embeddings: [Q, D] float32 rows of unit length, on the CPU.
            floor: The cosine in [0, 1) up to which questions are of other kinds.

        Returns:
            [Q] float64, one more for each question that is the same.
        """
        return self._core.crowding(torch.as_tensor(embeddings), floor)

    def merge(self, other: QuestionMemory) -> int:
        """Enter the questions of another memory whose keys are not here yet; runs are the same when their names are.

        Afterwards questions are in the order of (run, step, sequence, slot): merging the memories of several processes
        gives the same file in whatever order.

        Returns:
            The number of questions that were new.

        Raises:
            ValueError: The widths or the prefix lengths differ; nothing is changed.
        """
        return self._core.merge(other._core)

    def save(self, directory: str | os.PathLike) -> None:
        """Write ``memory.safetensors`` into the directory, atomically; the layout is in docs/formats/memory.md."""
        self._core.save(os.fspath(directory))

    @classmethod
    def load(
        cls, directory: str | os.PathLike, *, backend: str = "automatic", dim: int | None = None
    ) -> QuestionMemory:
        """Read what :meth:`save` wrote. Safe on files from strangers; ValueError says what is wrong with one.

        Args:
            directory: Where ``memory.safetensors`` is.
            backend: As in :class:`EmbeddingBank`.
            dim: The width that the embeddings are expected to have; a file of another width is refused.
        """
        memory = cls.__new__(cls)
        choice = _choice("memory::load", "backend", _core.Backend, backend)
        memory._core = _core.QuestionMemory.load(os.fspath(directory), choice, dim or 0)
        return memory

    def count(self, image: int) -> int:
        """Questions on one image."""
        return self._core.count(image)

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        return self._core.dim

    @property
    def images(self) -> int:
        """Images with a question."""
        return self._core.images

    @property
    def bytes(self) -> int:
        """Bytes of embeddings, keys and prefixes."""
        return self._core.bytes

    @property
    def prefix_counts(self) -> dict[str, int]:
        """Questions by prefix."""
        return self._core.prefixes.counts

    @property
    def backend(self) -> str:
        """The backend in use: ``native``, ``aten`` or ``faiss``."""
        return self._core.backend.name

    def __len__(self) -> int:
        return len(self._core)

    def __repr__(self) -> str:
        return f"QuestionMemory({len(self)} questions, {self.images} images, dim={self._core.dim})"
