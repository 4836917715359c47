"""A model whose calls are in the ledger, so that a run that was cut in the middle of a step pays for none twice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from vlmprobe.ledger.requests import reply_once
from vlmprobe.ledger.store import Ledger
from vlmprobe.models.model import Model, ModelReply, Request


class RecordedModel:
    """Asks a model, and writes every reply into the ledger before it is used.

    A reply that the ledger has of the present step is taken from there; what failed (a time-out, an outage) is asked
    again. Equal requests of a batch are asked once. Trainer and `probe` say which step it is.

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

    def reply(self, requests: Sequence[Request]) -> list[ModelReply]:
        """See `vlmprobe.models.model.Model`."""
        return reply_once(
            "RecordedModel",
            self.identity,
            requests,
            find=partial(self._ledger.recorded_calls, self._role),
            ask=self._model.reply,
            keep=partial(self._ledger.record_calls, self._role),
        )
