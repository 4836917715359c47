"""What models send back. Unknown is a state of its own: an outage is neither a pass nor a finding."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from vlmprobe._util.visible import is_blank
from vlmprobe.text import said


class Failure(str, enum.Enum):
    """Why a model's reply cannot be used."""

    TIMEOUT = "timeout"  # no reply before the deadline
    REFUSAL = "refusal"  # the model declined
    TRANSPORT = "transport"  # connection or server error; the only kind that is retried
    REJECTED = "rejected"  # refused: the request itself, or for its sender's key, credit or name of a model
    EMPTY = "empty"  # a reply without text
    TRUNCATED = "truncated"  # the token budget ended before the verdict
    UNPARSABLE = "unparsable"  # text from which no verdict could be read
    BUDGET = "budget"  # not asked: a budget of calls, tokens or cost is spent

    __str__ = str.__str__


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answerer's reply: exactly one of `text` and `failure` is set.

    >>> Reply(text="two").ok
    True
    >>> Reply(failure=Failure.TIMEOUT).ok
    False
    """

    text: str | None = None
    """The answer as the model gave it, not empty."""
    failure: Failure | None = None
    """Why there is no answer."""
    error: str = field(default="", compare=False, repr=False)
    """The failure in words, where the model gives some; no ledger keeps it with the answer."""

    def __post_init__(self) -> None:
        _check_failure("Reply", self.failure)
        if (self.text is None) == (self.failure is None):
            raise ValueError(
                f"[Reply] expected exactly one of text and failure, got text={self.text!r:.60}, failure={self.failure}"
            )
        if self.text is not None and not (isinstance(self.text, str) and self.text.strip()):
            raise ValueError(f"[Reply] text: expected text that is not blank, got {self.text!r:.60}; use Failure.EMPTY")

    @classmethod
    def of(cls, text: str) -> Reply:
        """What a model said, as a reply: the answer is what stands behind the thinking. Thinking without an end is
        truncated; nothing to see is empty.

        >>> Reply.of("<think>Or blue?</think> red").text
        'red'
        """
        answer = said(text)
        if answer is None:
            return cls(failure=Failure.TRUNCATED)
        if is_blank(answer):
            return cls(failure=Failure.EMPTY)
        return cls(text=answer if answer == text else answer.strip())

    @property
    def ok(self) -> bool:
        """True when there is an answer."""
        return self.failure is None


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """A verifier's judgement of one question on the four criteria; None is unknown, for a stated cause."""

    grammatical: bool | None = None
    """Well-formed."""
    atomic: bool | None = None
    """Stands alone, not composed of several."""
    grounded: bool | None = None
    """Needs the image."""
    objective: bool | None = None
    """Has one unambiguous answer."""
    reason: str = ""
    """The verifier's words."""
    failure: Failure | None = None
    """Why nothing is known; all four criteria are None then."""

    def __post_init__(self) -> None:
        _check_truths("Criteria", self, _CRITERIA)
        _check_cause("Criteria", self, _CRITERIA)

    @property
    def valid(self) -> bool | None:
        """Any criterion False: False; else any None: None; else True."""
        return _valid(self)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verifier's judgement of one answer; None is unknown, for a stated cause."""

    correct: bool | None = None
    """Whether the answer is right."""
    reason: str = ""
    """The verifier's words."""
    failure: Failure | None = None
    """Why nothing is known; `correct` is None then."""

    def __post_init__(self) -> None:
        _check_truths("Judgement", self, ("correct",))
        _check_cause("Judgement", self, ("correct",))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """All that a verifier said about one question and its answer: the criteria and, where it was judged, `correct`.

    There is no default verdict: every truth value is named by the caller, or joined from the two judgements.
    """

    grammatical: bool | None
    """Well-formed."""
    atomic: bool | None
    """Stands alone, not composed of several."""
    grounded: bool | None
    """Needs the image."""
    objective: bool | None
    """Has one unambiguous answer."""
    correct: bool | None
    """Whether the answer is right; None when it was not judged or could not be."""
    reason: str
    """The verifier's words, those about the answer last."""
    failure: Failure | None
    """Why a judgement is missing; None also when the answer was not sent to be judged."""

    def __post_init__(self) -> None:
        _check_truths("Verdict", self, (*_CRITERIA, "correct"))
        _check_failure("Verdict", self.failure)

    @property
    def valid(self) -> bool | None:
        """Any criterion False: False; else any None: None; else True."""
        return _valid(self)

    @classmethod
    def join(cls, criteria: Criteria, judgement: Judgement | None = None) -> Verdict:
        """The two judgements in one row. Without `judgement` (an invalid question is not answered) correct is None."""
        correct, spoken, failure = None, [criteria.reason], criteria.failure
        if judgement is not None:
            correct, failure = judgement.correct, criteria.failure or judgement.failure
            spoken.append(judgement.reason)
        return cls(
            grammatical=criteria.grammatical,
            atomic=criteria.atomic,
            grounded=criteria.grounded,
            objective=criteria.objective,
            correct=correct,
            reason="\n".join(filter(None, spoken)),
            failure=failure,
        )


_CRITERIA = ("grammatical", "atomic", "grounded", "objective")


def _valid(criteria: Criteria | Verdict) -> bool | None:
    values = [getattr(criteria, name) for name in _CRITERIA]
    if False in values:
        return False
    return None if None in values else True


def _check_truths(op: str, row: object, names: tuple[str, ...]) -> None:
    for name in names:
        value = getattr(row, name)
        if value is not None and type(value) is not bool:
            raise ValueError(f"[{op}] {name}: expected True, False or None, got {value!r:.60}")


def _check_failure(op: str, failure: object) -> None:
    if failure is not None and not isinstance(failure, Failure):
        allowed = ", ".join(Failure)
        raise ValueError(f"[{op}] failure: expected a Failure ({allowed}) or None, got {failure!r:.60}")


def _check_cause(op: str, row: Criteria | Judgement, names: tuple[str, ...]) -> None:
    """A failure leaves everything unknown; what is unknown has a failure or a reason."""
    _check_failure(op, row.failure)
    known = [name for name in names if getattr(row, name) is not None]
    if row.failure is not None and known:
        raise ValueError(f"[{op}] {known[0]}: expected None beside failure {row.failure}, got {getattr(row, known[0])}")
    if row.failure is None and len(known) < len(names) and not row.reason:
        missing = next(name for name in names if name not in known)
        raise ValueError(f"[{op}] {missing}: unknown needs a failure or a reason, got neither")
