"""Replies of models as rows of the table `calls`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

from vlmprobe.ledger.reading import Kinds, checked_columns
from vlmprobe.ledger.rows import text
from vlmprobe.models.model import Charge, ModelReply, Status, Usage

# Something came back. What failed otherwise, or has a status that this version does not know, a resumed run asks again.
HEARD = (Status.OK, Status.REJECTED, Status.REFUSAL, Status.EMPTY, Status.TRUNCATED)

_COLUMNS = (
    *("run_id", "phase", "step", "role", "request", "status", "text", "reasoning", "finish_reason", "error"),
    *("attempts", "prompt_tokens", "completion_tokens", "endpoint", "latency_time"),
    *("charged_calls", "charged_prompt_tokens", "charged_completion_tokens"),
)
_KINDS: Kinds = [str, str, str, str, str, int, int, int, str, (float, int), int, int, int]  # from status on
_ADDED = ("attempts", "prompt_tokens", "completion_tokens", *_COLUMNS[-3:])  # a call that is made again has cost twice
INSERT = f"""
  INSERT INTO calls ({", ".join(_COLUMNS)}) VALUES ({", ".join("?" * len(_COLUMNS))})
  ON CONFLICT (run_id, phase, step, role, request) DO UPDATE SET
  {", ".join(f"{c} = calls.{c} + excluded.{c}" if c in _ADDED else f"{c} = excluded.{c}" for c in _COLUMNS[5:])}
"""


def row(run_id: int, phase: str, step: int, role: str, key: str, reply: ModelReply) -> tuple[Any, ...]:
    """The columns of `calls` but for its id."""
    words = [text(f"calls.{n}", getattr(reply, n)) for n in ("text", "reasoning", "finish_reason", "error")]
    usage = reply.usage
    return (
        *(run_id, phase, step, role, key, str(reply.status), *words, reply.attempts),
        *(usage.prompt_tokens, usage.completion_tokens, text("calls.endpoint", reply.endpoint), reply.latency_s),
        *astuple(reply.charged or Charge()),
    )


def find(db: sqlite3.Connection, place: tuple[int, str, int, str], keys: Iterable[str]) -> dict[str, ModelReply]:
    """Replies by key, but for those that may be had by asking again; place is run_id, phase, step and role."""
    query = f"""
      SELECT {", ".join(_COLUMNS[5:])} FROM calls
      WHERE run_id = ? AND phase = ? AND step = ? AND role = ? AND request = ?
    """
    found = {key: checked_columns(db, query, (*place, key), _KINDS) for key in dict.fromkeys(keys)}
    heard = {key: [value for (value,) in columns] for key, columns in found.items() if columns[0]}
    replies = {key: _reply(*columns) for key, columns in heard.items() if columns[0] in HEARD}
    return {key: reply for key, reply in replies.items() if reply.final}


def forget_refused(db: sqlite3.Connection, place: tuple[int, str, int]) -> None:
    """Removes the refused calls of a step that is not made, whatever refused them; no server charges for one."""
    where = "run_id = ? AND phase = ? AND step = ? AND status = ?"
    db.execute(f"DELETE FROM calls WHERE {where}", (*place, str(Status.REJECTED)))


def _reply(
    status: str, said: str, reasoning: str, finish: str, error: str, attempts: int, prompt: int, completion: int,
    endpoint: str, latency: float, *charged: int,
) -> ModelReply:  # fmt: skip
    return ModelReply(
        status=Status(status),
        text=said,
        reasoning=reasoning,
        finish_reason=finish,
        usage=Usage(prompt_tokens=prompt, completion_tokens=completion),
        latency_s=latency,
        attempts=attempts,
        endpoint=endpoint,
        error=error,
        charged=Charge(**dict(zip(("calls", "prompt_tokens", "completion_tokens"), charged, strict=True))),
    )
