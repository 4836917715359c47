"""Several votes of a verifier to one: asked one after the other, only for what is not decided yet.

Truth is what more than half of all votes say, those that are unknown or failed counted in. Repeated votes lessen how
much a verifier's verdicts vary, not what it is wrong about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vlmprobe.models.replies import Failure

Truths = Mapping[str, bool | None]


@dataclass(frozen=True, kw_only=True)
class Vote:
    """What a verifier said about one thing."""

    truths: Truths
    """By key; None is unknown."""
    reason: str = ""
    failure: Failure | None = None
    """Why nothing is known; all truths are None then."""


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How many votes there may be."""

    votes: int = 1
    """For each thing."""
    confirm: int = 0
    """Further votes where the first one says False, and nowhere else."""

    def settled(self, votes: Sequence[Vote]) -> bool:
        """Whether no further vote can change the outcome."""
        if self.confirm and votes and not _refuted(votes[0]):
            return True
        return all(_settled([vote.truths[key] for vote in votes], self.most) for key in _keys(votes))

    def outcome(self, votes: Sequence[Vote]) -> Vote:
        """All votes in one; how many there were, and how many agree with the outcome, begins the reason. What is not
        settled because the budget ended is not judged: a larger one asks on."""
        if len(votes) == 1:
            return votes[0]
        unasked = next((vote for vote in votes if vote.failure is Failure.BUDGET), None)
        if unasked is not None and not self.settled([vote for vote in votes if vote.failure is not Failure.BUDGET]):
            return unasked
        if all(vote.failure is not None for vote in votes):
            return votes[0]
        truths = {key: _majority([vote.truths[key] for vote in votes], self.most) for key in _keys(votes)}
        agreeing = [vote for vote in votes if vote.failure is None and vote.truths == truths]
        reason = agreeing[0].reason if agreeing else "; ".join(filter(None, (vote.reason for vote in votes)))
        return Vote(truths=truths, reason=f"[{len(agreeing)} of {len(votes)} votes agree] {reason}".rstrip())

    @property
    def most(self) -> int:
        """Votes at most."""
        return 1 + self.confirm if self.confirm else self.votes


def poll(ask: Callable[[list[int], int], Sequence[Vote]], count: int, quota: Quota) -> list[Vote]:
    """[count] outcomes.

    Args:
        ask: gets the places of what is not settled, and the number of the vote from 0; gives a vote for each.
        count: how many things are voted on.
        quota: how many votes there may be.
    """
    cast: list[list[Vote]] = [[] for _ in range(count)]
    for number in range(quota.most):
        open_ones = [i for i in range(count) if not cast[i] or not quota.settled(cast[i])]
        if not open_ones:
            break
        for i, vote in zip(open_ones, ask(open_ones, number), strict=True):
            cast[i].append(vote)
    return [quota.outcome(votes) for votes in cast]


def _keys(votes: Sequence[Vote]) -> Sequence[str]:
    return list(votes[0].truths)


def _refuted(vote: Vote) -> bool:
    return False in vote.truths.values()


def _majority(values: Sequence[bool | None], of: int) -> bool | None:
    return next((truth for truth in (True, False) if 2 * values.count(truth) > of), None)


def _settled(values: Sequence[bool | None], of: int) -> bool:
    """A majority is there, or can no longer come."""
    left = of - len(values)
    best = max(values.count(True), values.count(False))
    return _majority(values, of) is not None or 2 * (best + left) <= of
