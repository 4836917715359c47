"""Judging and answering while the questioner still generates: neither side waits for the other's whole step.

Groups come as they finish, in any order; the result is in the order of the table, and is what `examine` gives for the
whole table at once, as long as a model's reply to a question does not depend on the other questions of its batch.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence

import torch

from vlmprobe._checks import check_count
from vlmprobe.examine import Examined, check_served, examined_part
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.models.service import Service
from vlmprobe.text import parse_responses


class Overlap:
    """Takes the completions of finished groups and has them examined by threads of its own.

    Args:
        images: [I] the picture of each group.
        k: questions per sequence.
        answerer, verifier: the models; called from several threads.
        workers: groups examined at a time.
        waiting: groups that may wait; a questioner that is further ahead waits itself.
        service: as in `examine`.

    Example:
        >>> with Overlap(images, k=2, answerer=answerer, verifier=verifier) as overlap:  # doctest: +SKIP
        ...     rollouts = questioner.ask(images, k=2, seed=0, step=0, on_group=overlap)
        ...     examined = overlap.examined()
    """

    def __init__(
        self,
        images: Sequence[Picture],
        *,
        k: int,
        answerer: Answerer,
        verifier: Verifier,
        workers: int = 4,
        waiting: int = 8,
        service: Service | None = None,
    ):
        check_count("Overlap", "workers", workers)
        check_count("Overlap", "waiting", waiting)
        self._images, self._k, self._answerer, self._verifier = list(images), k, answerer, verifier
        self._service = service or Service()
        self._queue: queue.Queue[tuple[int, list[str]] | None] = queue.Queue(waiting)
        self._found: dict[int, Examined] = {}
        self._error: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def __call__(self, group: int, texts: list[str]) -> None:
        """Takes the [G] completions of a group; waits while too many groups do. An error of a model is raised here."""
        self._raise()
        self._queue.put((group, texts))

    def examined(self) -> Examined:
        """The whole table, once every group has come.

        Raises:
            ValueError: a group is missing.
            Unserved: no call of a model came through.
            Whatever a model raised.
        """
        self._finish()
        self._raise()
        missing = sorted(set(range(len(self._images))) - self._found.keys())
        if missing:
            raise ValueError(f"[Overlap] groups: expected {len(self._images)}, got none for {missing[0]}")
        parts = [self._found[group] for group in range(len(self._images))]
        whole = joined(parts)
        images = [image for image, part in zip(self._images, parts, strict=True) for _ in part.verdicts]
        check_served(images, whole, answerer=self._answerer, verifier=self._verifier, service=self._service)
        return whole

    def __enter__(self) -> Overlap:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._error = self._error or error  # what still waits is not begun
        self._finish()

    def _work(self) -> None:
        while (taken := self._queue.get()) is not None:
            group, texts = taken
            if self._error is not None:
                continue  # the rest is taken out of the questioner's way
            try:
                questions = parse_responses(texts, k=self._k)
                images = [self._images[group]] * len(questions)
                self._found[group] = examined_part(images, questions, answerer=self._answerer, verifier=self._verifier)
            except BaseException as error:  # raised again by the thread that waits
                self._error = error

    def _finish(self) -> None:
        for _ in self._threads:  # each thread takes one and ends
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


def joined(parts: Sequence[Examined]) -> Examined:
    """Tables one below the other."""
    return Examined(
        torch.cat([part.valid for part in parts]),
        torch.cat([part.correct for part in parts]),
        [verdict for part in parts for verdict in part.verdicts],
        [reply for part in parts for reply in part.replies],
    )
