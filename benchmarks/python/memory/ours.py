"""The calls of `vlmprobe.memory.QuestionMemory` that are measured."""

from __future__ import annotations

import functools

import torch

from .problem import Banks, fill, filled, unit


@functools.lru_cache(maxsize=1)
def memory_of(banks: Banks):
    return filled(banks)


def novelty(banks: Banks) -> dict:
    """With the lexical term, the checks and the grouping by image, which the peers do not have."""
    found = memory_of(banks).novelty(banks.image, embeddings=banks.asked, texts=banks.texts)
    return {"cosine": (1 - found.semantic).numpy()}


def nearest(banks: Banks) -> dict:
    found = memory_of(banks).nearest(banks.image, embeddings=banks.asked, k=1)
    return {"cosine": found.score[:, 0].numpy()}


def has_nearest() -> bool:
    from vlmprobe.memory import QuestionMemory

    return hasattr(QuestionMemory, "nearest")


class Steps:
    """A memory of `images` banks, and steps of `queries` questions over 10 of them: novelty, then commit."""

    ASKED_IMAGES = 10  # as many as the small memory holds: the same work on both sides

    def __init__(self, banks: Banks, images: int):
        from vlmprobe.memory import QuestionMemory

        self.banks, self.images, self.taken = banks, images, 0
        self.memory = QuestionMemory(banks.width)
        fill(self.memory, banks, range(images))
        count = banks.queries
        asked = min(self.ASKED_IMAGES, images)
        self.asked = unit(-2, count, banks.width)
        place = torch.arange(count)
        self.image = place * asked // count * (images // asked)
        self.rows = {"image": self.image, "embeddings": self.asked, "texts": banks.texts[:count]}
        self.key = {"sequence": place, "slot": torch.zeros(count, dtype=torch.int64)}

    def step(self) -> dict:
        """Every step asks about the same images, whose banks grow by a few rows each time: on both sides alike."""
        self.taken += 1
        found = self.memory.novelty(**self.rows)
        new = self.memory.commit("step", step=self.taken, **self.rows, **self.key)
        return {"semantic": found.semantic, "new": new, "stored": len(self.memory)}
