"""The order in which images are seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from vlmprobe._util.checks import check_count
from vlmprobe.data.image import Image, SourceGone, reason_of
from vlmprobe.data.source import ImageSource, keys_of


def epoch_order(n: int, *, seed: int, epoch: int) -> list[int]:
    """A permutation of 0 .. n-1 that depends on (n, seed, epoch) alone.

    Philox keyed by (seed, epoch) draws one 64-bit number per image; the order is that of the numbers. NumPy promises
    the stream of a bit generator for ever, that of `permutation` it does not.

    Args:
        n: number of images, at least 0.
        seed: of the run, 0 .. 2**64 - 1.
        epoch: which pass over the images, from 0.
    Returns:
        [n] indices, each once.
    Raises:
        ValueError: a negative n, or a seed or epoch outside 0 .. 2**64 - 1.

    Example:
        >>> sorted(epoch_order(5, seed=1, epoch=0))
        [0, 1, 2, 3, 4]
    """
    if n < 0:
        raise ValueError(f"[epoch_order] n must be at least 0, got {n}")
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not 0 <= value < 2**64:
            raise ValueError(f"[epoch_order] {name} must be in [0, 2**64), got {value}")
    draws = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)).random_raw(n)
    return [int(index) for index in np.argsort(np.asarray(draws), kind="stable")]


@dataclass(frozen=True)
class LeftOut:
    """An image that a step was to be about and that could not be read."""

    id: int
    """Number in its source."""
    key: str
    """Name in its source."""
    reason: str
    """Why, in words that name it."""


class StepImages(list[Image]):
    """The images of a step that can be read, in their order; `left_out` has the others.

    Args:
        images: of `source`.
        indices: of the step.

    Raises:
        IndexError: an index outside the source.
        SourceGone: none can be read, for a cause that is none of theirs.
    """

    def __init__(self, images: ImageSource, indices: Iterable[int]):
        super().__init__()
        self.left_out: list[LeftOut] = []
        self.total = len(images)
        """Images in the source."""
        for index in indices:
            if not 0 <= index < self.total:
                raise IndexError(f"[StepImages] index must be in [0, {self.total}), got {index}")
            try:
                image = images[index]
                image.sha256  # noqa: B018  # pixels that are read when asked for are read now
                self.append(image)
            except SourceGone:
                raise
            except Exception as error:  # one bad picture never takes the run, whatever a decoder raises
                self.left_out.append(_left_out(images, index, error))


def _left_out(images: ImageSource, index: int, error: Exception) -> LeftOut:
    keys = keys_of(images)
    key = f"image {index}" if keys is None else keys[index]
    return LeftOut(index, key, reason_of(key, error))


def shuffled(images: ImageSource, per_step: int, *, seed: int) -> Callable[[int], StepImages]:
    """step -> its images that can be read: every epoch sees each image once, in an order of its own."""
    check_count("shuffled", "per_step", per_step)
    if not len(images):
        raise ValueError("[shuffled] images: expected at least one, got none")

    def of(step: int) -> StepImages:
        epoch, order = -1, []
        chosen: list[int] = []
        for at in range(step * per_step, (step + 1) * per_step):
            if at // len(images) != epoch:
                epoch = at // len(images)
                order = epoch_order(len(images), seed=seed, epoch=epoch)
            chosen.append(order[at % len(images)])
        return StepImages(images, chosen)

    return of


def in_order(images: ImageSource, per_step: int) -> Callable[[int], StepImages]:
    """step -> its images that can be read, in the source's own order, from the start again after the last."""
    check_count("in_order", "per_step", per_step)
    if not len(images):
        raise ValueError("[in_order] images: expected at least one, got none")
    total = len(images)
    return lambda step: StepImages(images, [at % total for at in range(step * per_step, (step + 1) * per_step)])
