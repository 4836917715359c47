"""The inputs: unit rows of questions per image, and queries on those images. Seeded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True)
class Banks:
    """`images` banks of `rows` stored questions each, and `queries` more questions spread over the images."""

    images: int
    rows: int
    width: int
    queries: int

    @cached_property
    def stored(self) -> torch.Tensor:
        """[images, rows, width] float32."""
        return torch.cat([unit(seed, 1, self.rows, self.width) for seed in range(self.images)])

    @cached_property
    def image(self) -> torch.Tensor:
        """[queries] int64, in the order in which a step has them: all of an image together."""
        return torch.arange(self.queries) * self.images // self.queries

    @cached_property
    def asked(self) -> torch.Tensor:
        """[queries, width] float32, some near to a stored row."""
        near = self.stored[self.image, torch.arange(self.queries) % self.rows]
        fresh = unit(-1, self.queries, self.width)
        share = torch.rand(self.queries, 1, generator=torch.Generator().manual_seed(2))
        return torch.nn.functional.normalize(share * near + (1 - share) * fresh, dim=-1)

    @cached_property
    def texts(self) -> list[str]:
        return [f"What is {i % 97} of the {i % 89} there?" for i in range(self.queries)]


def unit(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1000 + seed)
    return torch.nn.functional.normalize(torch.randn(shape, generator=generator), dim=-1)


def filled(banks: Banks):
    """A memory that holds the stored rows, committed 32 images at a time."""
    from vlmprobe.memory import QuestionMemory

    memory = QuestionMemory(banks.width)
    fill(memory, banks, range(banks.images))
    return memory


def fill(memory, banks: Banks, images: range, at_once: int = 32) -> None:
    """Commits the rows of these images; image i has the rows of bank i modulo the number of banks."""
    for begin in range(images.start, images.stop, at_once):
        some = torch.arange(begin, min(begin + at_once, images.stop))
        sequence = some.repeat_interleave(banks.rows)
        slot = torch.arange(banks.rows).repeat(len(some))
        texts = [f"How many {i % 211} are {i % 13}?" for i in range(len(sequence))]
        rows = banks.stored[some % banks.images].flatten(0, 1)
        memory.commit("fill", step=0, image=sequence, embeddings=rows, texts=texts, sequence=sequence, slot=slot)
