"""Judging and answering while the questioner still generates: neither side waits for the other's whole step.

Groups come as they finish, in any order; the result is in the order of the table, and is what `examine` gives for the
whole table at once, as long as a model's reply to a question does not depend on the other questions of its batch.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from vlmprobe._util.checks import check_count
from vlmprobe.loop.examine import check_served, examined_part
from vlmprobe.loop.round import Round
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.models.service import Service
from vlmprobe.policy.asker import Completions
from vlmprobe.text import parse_responses

WORKERS = 64


class Overlap:
    """Takes the completions of finished groups and has them examined by threads of its own.

    Args:
        shown: a round with images, one for each group.
        k: questions per sequence.
        answerer, verifier: the models; called from several threads.
        workers: groups examined at a time; by default all of the round, up to 64. A model behind an endpoint keeps its
            own limit of requests in flight, and is busy only if that many come.
        waiting: groups that may wait; a questioner that is further ahead waits itself. None: any number.
        service: as in `examine`.

    Example:
        >>> with Overlap(shown, k=2, answerer=answerer, verifier=verifier) as overlap:  # doctest: +SKIP
        ...     asked = ask(shown, questioner, k=2, seed=0, on_group=overlap)
        ...     examined = overlap.examined(asked)
    """

    def __init__(
        self,
        shown: Round,
        *,
        k: int,
        answerer: Answerer,
        verifier: Verifier,
        workers: int | None = None,
        waiting: int | None = None,
        service: Service | None = None,
    ):
        workers = max(1, min(len(shown.images), WORKERS)) if workers is None else workers
        check_count("Overlap", "workers", workers)
        if waiting is not None:
            check_count("Overlap", "waiting", waiting)
        self._shown, self._k, self._answerer, self._verifier = shown, k, answerer, verifier
        self._service = service or Service()
        self._queue: queue.Queue[tuple[int, list[str]] | None] = queue.Queue(waiting or 0)
        self._found: dict[int, Round] = {}
        self._error: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def __call__(self, group: int, texts: list[str]) -> None:
        """Takes the [G] completions of a group; waits while too many groups do. An error of a model is raised here."""
        self._raise()
        self._queue.put((group, texts))

    def examined(self, asked: Round) -> Round:
        """The whole round with its verdicts and answers, once every group has come.

        Raises:
            ValueError: a group is missing, or had other completions than the round.
            Unserved: no call of a model came through.
            Whatever a model raised.
        """
        self._finish()
        self._raise()
        groups = len(self._shown.images)
        missing = sorted(set(range(groups)) - self._found.keys())
        if missing:
            raise ValueError(f"[Overlap] groups: expected {groups}, got none for {missing[0]}")
        parts = [self._found[group] for group in range(groups)]
        if sum(len(part.questions) for part in parts) != len(asked.questions):
            raise ValueError(
                f"[Overlap] groups: expected the {len(asked.questions)} questions of the round, got others"
            )
        examined = replace(
            asked,
            verdicts=[verdict for part in parts for verdict in part.verdicts],
            answers=[answer for part in parts for answer in part.answers],
        )
        check_served(examined, self._answerer, self._verifier, self._service)
        return examined

    def __enter__(self) -> Overlap:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self._error = self._error or error  # what still waits is not begun
        if kind is not None and not issubclass(kind, Exception):
            self._threads = []  # an interrupt does not wait for replies
        self._finish()

    def _work(self) -> None:
        while (taken := self._queue.get()) is not None:
            group, texts = taken
            if self._error is not None:
                continue  # the rest is taken out of the questioner's way
            try:
                part = replace(
                    self._shown,
                    images=[self._shown.images[group]],
                    asked=Completions.of([texts]),
                    questions=parse_responses(texts, k=self._k),
                )
                self._found[group] = examined_part(part, self._answerer, self._verifier)
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
