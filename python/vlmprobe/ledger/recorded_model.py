"""A model whose calls are in the ledger, so that a run that was cut in the middle of a step pays for none twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from vlmprobe.ledger.requests import reply_once
from vlmprobe.ledger.store import Ledger
from vlmprobe.models.model import Model, ModelReply, Observed, Request
from vlmprobe.models.service import Unserved, endpoints_of

Judge = TypeVar("Judge")


@runtime_checkable
class AsksModel(Protocol):
    """An answerer or a verifier that asks a `Model`."""

    @property
    def model(self) -> Model | None:
        """Who is asked; None: nobody."""

    def with_model(self, model: Model) -> Any:
        """The same, asking another."""


class RecordedModel:
    """Asks a model, and writes every reply into the ledger as it comes; and what happened to the model's endpoints.

    A reply that the ledger has of the present step is taken from there. What failed is asked again: a time-out, an
    outage, and a refusal that its sender puts right, such as that of a key; not one that the request itself caused
    (`ModelReply.final`). Equal requests of a batch are asked once. Trainer and `probe` record the models of their
    judges by themselves, and say which step it is.

    Args:
        model: any model.
        ledger: of the run.
        role: `answerer` or `verifier`, for the ledger.

    Example:
        >>> answerer = RecordedModel(client, folder.ledger, role="answerer")  # doctest: +SKIP
    """

    def __init__(self, model: Model, ledger: Ledger, *, role: str):
        self._model, self._ledger, self._role = model, ledger, role

    @property
    def identity(self) -> str:
        return self._model.identity

    @property
    def endpoints(self) -> Sequence[str]:
        """The model's, where it has some."""
        return endpoints_of(self._model)

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        """See `vlmprobe.models.model.Model`."""
        try:
            return reply_once(
                self._model,
                requests,
                find=partial(self._ledger.recorded_calls, self._role),
                keep=partial(self._ledger.record_calls, self._role),
            )
        finally:
            self._record_events()

    def _record_events(self) -> None:
        if isinstance(self._model, Observed):
            events = [{"role": self._role, **asdict(event)} for event in self._model.take_events()]
            self._ledger.record_events("endpoint", [json.dumps(event, sort_keys=True) for event in events])


def recorded(judge: Judge, ledger: Ledger | None, *, role: str) -> Judge:
    """The same judge, with its model recorded; as it is where it has none, where that is recorded already, or without
    a ledger."""
    asking: object = judge
    model = asking.model if isinstance(asking, AsksModel) else None
    if ledger is None or model is None or isinstance(model, RecordedModel):
        return judge
    return cast(Judge, cast(AsksModel, asking).with_model(RecordedModel(model, ledger, role=role)))


@contextmanager
def made_or_not(ledger: Ledger | None) -> Iterator[None]:
    """Around what is asked in a step. Where a role is not served (`vlmprobe.models.service.Unserved`) the step is not
    made: its refused calls leave the ledger, so that all of them are asked again, and an event keeps the words."""
    try:
        yield
    except Unserved as error:
        if ledger is not None:
            ledger.forget_refused()
            ledger.record_events("stopped", [str(error)])
        raise
