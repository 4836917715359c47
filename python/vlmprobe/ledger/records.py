"""What is written down, as plain rows: one StepRecord per step, its sequences and its questions in flat lists.

Filling one in takes a few lines, because every list follows a table that the step has anyway:

    ledger.record(StepRecord(
        run=run_id, phase="train", step=step,
        images=[ImageRecord.of(image) for image in images],
        sequences=[SequenceRecord(sequence=i, image=image_of[i], ...) for i in range(B)],
        questions=[QuestionRecord(sequence=s, slot=j, status=status, text=text, prefix=prefix,
                                  verdict=VerdictRecord.of(verdict, judge=verifier.identity),
                                  answer=AnswerRecord.of(reply, answerer=answerer.identity),
                                  rewards={"semantic": .4, "lexical": .5, "total": .45}) for ...],
    ))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run, as it was asked for. Nothing here may depend on the time or on the machine's paths: two runs with one seed
    must write the same."""

    id: str
    """Name of the run, unique in the file."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Everything that determines the run, seed included; must be representable as JSON."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package -> version."""
    identities: Mapping[str, str] = field(default_factory=dict)
    """Role (questioner, answerer, verifier, embedder) -> model and revision."""


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """An image that questions were asked about."""

    id: int
    """Number in the source."""
    key: str
    """Name in the source."""
    sha256: str
    """Hash of the pixels."""

    @classmethod
    def of(cls, image: _ImageLike) -> ImageRecord:
        """From anything with id, key and sha256, such as `vlmprobe.data.Image`."""
        return cls(id=image.id, key=image.key, sha256=image.sha256)


@dataclass(frozen=True, kw_only=True)
class SequenceRecord:
    """One completion of the questioner."""

    sequence: int
    """Row of the batch, from 0."""
    image: int
    """Number of the image in the source; the image is in this step's or an earlier step's `images`."""
    group: int
    """Label of its group."""
    text: str
    """The completion as decoded."""
    tokens: int
    """Tokens generated."""
    reward: float | None = None
    """Reward of the sequence; None or NaN is unscored."""
    advantage: float | None = None
    """Its advantage; None in an evaluation."""


@dataclass(frozen=True, kw_only=True)
class JudgeRecord:
    """A model that answered or judged, and how it was asked."""

    role: str
    """`answerer` or `verifier`."""
    identity: str
    """Model, as it names itself; what `AnswerRecord.answerer` and `VerdictRecord.judge` hold."""
    revision: str = ""
    """Empty: in the identity, or not known."""
    prompt_sha256: str = ""
    """Hash of the prompt's text; empty: not known."""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    """How replies are drawn; must be representable as JSON."""

    @classmethod
    def of(cls, role: str, model: _Named) -> JudgeRecord:
        """From a model: its identity, and where it has them `revision`, `prompt_sha256` and `sampling`."""
        known = {
            name: getattr(model, name) for name in ("revision", "prompt_sha256", "sampling") if hasattr(model, name)
        }
        return cls(role=role, identity=model.identity, **known)


@dataclass(frozen=True, kw_only=True)
class VerdictRecord:
    """What the verifier said; None is unknown."""

    grammatical: bool | None
    atomic: bool | None
    grounded: bool | None
    objective: bool | None
    correct: bool | None
    judge: str
    """Identity of the verifier."""
    reason: str = ""
    failure: str | None = None
    """Why a judgement is missing."""

    @property
    def valid(self) -> bool | None:
        """Any criterion False: False; else any None: None; else True."""
        criteria = (self.grammatical, self.atomic, self.grounded, self.objective)
        return False if False in criteria else None if None in criteria else True

    @classmethod
    def of(cls, verdict: _VerdictLike, *, judge: str) -> VerdictRecord:
        """From anything with the fields of `vlmprobe.models.Verdict`."""
        return cls(
            grammatical=verdict.grammatical,
            atomic=verdict.atomic,
            grounded=verdict.grounded,
            objective=verdict.objective,
            correct=verdict.correct,
            judge=judge,
            reason=verdict.reason,
            failure=None if verdict.failure is None else str(verdict.failure),
        )


@dataclass(frozen=True, kw_only=True)
class AnswerRecord:
    """What the answerer said: exactly one of `text` and `failure`. One record is one call."""

    answerer: str
    """Identity of the answerer."""
    text: str | None = None
    failure: str | None = None

    @classmethod
    def of(cls, reply: _ReplyLike, *, answerer: str) -> AnswerRecord:
        """From anything with the fields of `vlmprobe.models.Reply`."""
        failure = None if reply.failure is None else str(reply.failure)
        return cls(answerer=answerer, text=reply.text, failure=failure)


@dataclass(frozen=True, kw_only=True)
class QuestionRecord:
    """One slot of one sequence."""

    sequence: int
    """Its sequence."""
    slot: int
    """0 .. k-1."""
    status: str
    """`ok`, or what the parser found wrong; a slot that is not ok counts as invalid."""
    text: str
    """The question; empty when status is not ok."""
    prefix: str = ""
    """Its first words, as counted by the memory."""
    verdict: VerdictRecord | None = None
    """None: not judged."""
    answer: AnswerRecord | None = None
    """None: not asked."""
    rewards: Mapping[str, float | None] = field(default_factory=dict)
    """Term -> value before weighting, and `total`; None or NaN is unscored."""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    """What the source knows about the question: key -> value representable as JSON. The embedded world writes `family`,
    `program`, `truth` (the right answer) and `faults` (the ids that applied)."""


@dataclass(frozen=True, kw_only=True)
class LabelRecord:
    """What a person says about a question and its recorded answer."""

    run: str
    phase: str
    step: int
    sequence: int
    slot: int
    """With the four above, the question's place."""
    annotator: str
    """Who says it."""
    valid: bool | None
    """Whether the question is valid; None: not said."""
    correct: bool | None
    """Whether the answer is right; None: not said."""
    probability: float | None = None
    """With which the question was drawn to be labelled, in (0, 1]; None: not known."""
    criterion: str | None = None
    """Which criterion an invalid question fails: `grammatical`, `atomic`, `grounded` or `objective`; None: not said."""
    question: str | None = None
    """Its text as the annotator saw it, to be held against the ledger's; None holds nothing. Not kept."""


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """All of one step; written in one transaction or not at all."""

    run: str
    """Id of a run that was begun."""
    phase: str
    """train, before, after, the name of an arm, ..."""
    step: int
    """From 0, counted within the phase."""
    images: Sequence[ImageRecord] = ()
    """Images of the sequences; those already recorded may be given again."""
    sequences: Sequence[SequenceRecord] = ()
    questions: Sequence[QuestionRecord] = ()
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    """What the update did: loss, kl, entropy, clip_fraction, grad_norm, changed; empty where nothing was trained."""
    judges: Sequence[JudgeRecord] = ()
    """More about the models that the answers and verdicts name; one that is not here is known by its name alone."""


class _Named(Protocol):
    @property
    def identity(self) -> str: ...


class _ImageLike(Protocol):
    @property
    def id(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def sha256(self) -> str: ...


class _ReplyLike(Protocol):
    @property
    def text(self) -> str | None: ...
    @property
    def failure(self) -> str | None: ...


class _VerdictLike(Protocol):
    @property
    def grammatical(self) -> bool | None: ...
    @property
    def atomic(self) -> bool | None: ...
    @property
    def grounded(self) -> bool | None: ...
    @property
    def objective(self) -> bool | None: ...
    @property
    def correct(self) -> bool | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def failure(self) -> str | None: ...
