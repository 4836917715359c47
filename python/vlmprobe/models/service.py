"""Whether the calls of a role come through at all. Where none does, a step is not made: nobody trains on nothing.

A step whose calls are refused, or meet an outage, says nothing about a model. It is one role's (`answerer`, `verifier`,
`questioner`) calls in one step that are looked at together; a single reply among them is enough to go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from vlmprobe._util.stops import BudgetSpent as BudgetSpent
from vlmprobe._util.stops import StepNotMade as StepNotMade
from vlmprobe._util.stops import Unserved as Unserved
from vlmprobe.models.model import OWN_FAULT, http_status
from vlmprobe.models.replies import Failure

UNSERVED = (Failure.TIMEOUT, Failure.TRANSPORT, Failure.REJECTED)
"""What says nothing about a model: no server replied, or it refused. The others (cut, empty, unreadable) do."""
WORDS = 300  # of a server, in a message


@dataclass(frozen=True)
class Call:
    """One call as a step sees it."""

    failure: Failure | None
    """None: it brought something."""
    error: str = ""
    """What the server said beside the failure."""
    about: int = 0
    """Number of the picture."""

    @property
    def served(self) -> bool:
        """Whether a model said something, be it useless."""
        return self.failure not in UNSERVED


@runtime_checkable
class Located(Protocol):
    """A model behind endpoints."""

    @property
    def endpoints(self) -> Sequence[str]:
        """Their URLs."""


@dataclass
class Service:
    """Which roles have been served; one for each loop over steps.

    A refusal that is the request's own fault (400, 413, 422) may be that of a picture. So where all of a step is about
    one picture, and the role was served in the step before, such refusals are passed over, once in a row.
    """

    _served: set[str] = field(default_factory=set)

    def saw(self, role: str) -> None:
        """The role was served earlier."""
        self._served.add(role)

    def check(self, role: str, asked: object, calls: Iterable[Call]) -> None:
        """Takes the calls of a role in a step.

        Args:
            role: its name.
            asked: who: a model, or a judge that has one; named in the error.
            calls: all of them, also those whose replies a ledger had.

        Raises:
            Unserved: there are calls, and none of them came through.
        """
        calls = list(calls)
        if any(call.served for call in calls):
            self.saw(role)
        elif calls and role in self._served and _of_one_picture(calls):
            self._served.discard(role)
        elif calls:
            raise Unserved(_said(role, asked, calls))


def endpoints_of(asked: object) -> Sequence[str]:
    """Where a model, or the model of a judge, is; empty where that is not known."""
    model = getattr(asked, "model", asked)
    return list(model.endpoints) if isinstance(model, Located) else []


def located(asked: object) -> str:
    """` at <URLs>`, for a message; empty where none is known."""
    places = endpoints_of(asked)
    return f" at {', '.join(places)}" if places else ""


def one_line(error: str) -> str:
    """A server's words on one line, the first of them where they are many."""
    return " ".join(error.split())[:WORDS]


def _of_one_picture(calls: Sequence[Call]) -> bool:
    return len({call.about for call in calls}) == 1 and all(http_status(c.error) in OWN_FAULT for c in calls)


def _said(role: str, asked: object, calls: Sequence[Call]) -> str:
    """One line: who, where, how many calls, and the server's words."""
    name = str(getattr(asked, "identity", "")).split(" [")[0]
    counts = Counter(str(call.failure) for call in calls)
    words = Counter(one_line(call.error) for call in calls if call.error).most_common(1)
    what = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
    return (
        f"[{role}] {name}{located(asked)}: expected a reply, got none to {len(calls)} calls ({what})"
        f"{': ' + words[0][0] if words else ''}; the step is not made: put this right, then go on from the last "
        "checkpoint"
    )
