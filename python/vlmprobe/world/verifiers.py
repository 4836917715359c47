"""Verifiers of the world: one that knows, and one that errs at a known rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe._native import core
from vlmprobe.models.protocols import Picture
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply
from vlmprobe.models.votes import Quota, Vote, poll
from vlmprobe.world.source import scene_of

NAMES = ("grammatical", "atomic", "grounded", "objective")


class OracleVerifier:
    """Executes the question on the scene: always right, or unknown where an answer cannot be told.

    What an answer says is stated in include/vlmprobe/world/answer.h: the one value of the right answer's type in it.
    None or two is unknown, which is unscored and no failure.
    """

    identity = "world-oracle"

    def validity(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Criteria]:
        """See `vlmprobe.models.protocols.Verifier`."""
        rows = []
        for image, question in zip(images, questions, strict=True):
            judged = core.world.judge(scene_of(image), question)
            values: dict[str, Any] = {name: _tri(getattr(judged.criteria, name)) for name in NAMES}
            rows.append(Criteria(**values, reason=judged.reason))
        return rows

    def correctness(
        self, images: Sequence[Picture], questions: Sequence[str], answers: Sequence[str]
    ) -> list[Judgement]:
        """See `vlmprobe.models.protocols.Verifier`. A question without a right answer gives an unknown, and so does an
        answer that says no value, or several."""
        return [_judged(*row)[0] for row in zip(images, questions, answers, strict=True)]

    def own_answers(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """The right answers, in a sentence; see `vlmprobe.probe.own_answers`."""
        return [_own_answer(*row) for row in zip(images, questions, strict=True)]


@dataclass(frozen=True, kw_only=True)
class ErrorRates:
    """How often a noisy judge is right, each in [0, 1]."""

    valid_sensitivity: float = 0.95
    """P(judged valid | valid)."""
    valid_specificity: float = 0.85
    """P(judged invalid | invalid)."""
    wrong_sensitivity: float = 0.95
    """P(judged wrong | wrong)."""
    wrong_specificity: float = 0.95
    """P(judged right | right)."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"[ErrorRates] {name}: expected a rate in [0, 1], got {value}")


class NoisyVerifier:
    """The oracle with errors at known rates. The same question about the same picture always gets the same verdict.

    Args:
        rates: sensitivity and specificity for validity and for correctness.
        seed: of the errors, 0 to 2**64 - 1.
        confirm: further votes on an answer that the first one calls wrong, as `vlmprobe.models.judges.ModelVerifier`
            has them; each errs on its own.

    Raises:
        ValueError: a seed or a number of votes out of range.
    """

    def __init__(self, rates: ErrorRates = ErrorRates(), *, seed: int = 0, confirm: int = 0):
        if not 0 <= seed < 2**64:
            raise ValueError(f"[NoisyVerifier] seed: expected 0 to 2**64 - 1, got {seed}")
        if confirm < 0:
            raise ValueError(f"[NoisyVerifier] confirm: expected at least 0, got {confirm}")
        self._oracle, self._rates, self._seed, self._quota = OracleVerifier(), rates, seed, Quota(confirm=confirm)
        self.identity = f"world-noisy(seed={seed}, {rates}{f', confirm={confirm}' if confirm else ''})"

    def validity(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Criteria]:
        """See `vlmprobe.models.protocols.Verifier`. An error turns valid into ungrounded, invalid into valid."""
        truths = self._oracle.validity(images, questions)
        return [self._criteria(*row) for row in zip(images, questions, truths, strict=True)]

    def correctness(
        self, images: Sequence[Picture], questions: Sequence[str], answers: Sequence[str]
    ) -> list[Judgement]:
        """See `vlmprobe.models.protocols.Verifier`. Whether an answer can be told is no matter of error."""
        rows = list(zip(images, questions, answers, strict=True))

        def ask(places: list[int], number: int) -> list[Vote]:
            said = [self._judgement(*rows[i], number) for i in places]
            return [Vote(truths={"correct": each.correct}, reason=each.reason) for each in said]

        votes = poll(ask, len(rows), self._quota)
        return [Judgement(correct=vote.truths["correct"], reason=vote.reason) for vote in votes]

    def own_answers(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Reply]:
        """As the oracle's: its errors are of judging. An answer in other words is judged with another chance to err."""
        return self._oracle.own_answers(images, questions)

    def _criteria(self, image: Picture, question: str, truth: Criteria) -> Criteria:
        right = self._rates.valid_sensitivity if truth.valid else self._rates.valid_specificity
        if self._draw(image, question) < right:
            return truth
        if truth.valid:
            return Criteria(grammatical=True, atomic=True, grounded=False, objective=True, reason="judged in error")
        return Criteria(grammatical=True, atomic=True, grounded=True, objective=True, reason="judged in error")

    def _judgement(self, image: Picture, question: str, answer: str, vote: int) -> Judgement:
        truth, valid = _judged(image, question, answer)
        draw = self._draw(image, f"{question}\n{_well_formed(answer)}" + (f"\nvote {vote}" if vote else ""))
        if not valid:  # but let through: a judge would still say something
            return Judgement(correct=draw < 0.5, reason="judged without a right answer")
        if truth.correct is None:
            return truth
        right = self._rates.wrong_specificity if truth.correct else self._rates.wrong_sensitivity
        return truth if draw < right else Judgement(correct=not truth.correct, reason="judged in error")

    def _draw(self, image: Picture, text: str) -> float:
        scene, name = scene_of(image).id, core.hash(text)
        low = 0xFFFFFFFF
        return float(core.uniform(self._seed, core.Stream.verifier, scene & low, name & low, (scene ^ name) >> 32))


def _own_answer(image: Picture, question: str) -> Reply:
    judged = core.world.judge(scene_of(image), question)
    return Reply(text=f"It is {judged.answer}.") if judged.valid else Reply(failure=Failure.EMPTY)


def _judged(image: Picture, question: str, answer: str) -> tuple[Judgement, bool]:
    """The truth about an answer, and whether the question is valid."""
    judged = core.world.judge(scene_of(image), question)
    if not judged.valid:
        return Judgement(reason=judged.reason), False
    correct = _tri(core.world.same_answer(_well_formed(answer), judged.answer))
    found = "" if correct is not None else ", the answer says no single one"
    return Judgement(correct=correct, reason=f"the right answer is {judged.answer}{found}"), True


def _well_formed(text: str) -> str:
    """Without lone surrogates, which have no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def _tri(value: int) -> bool | None:
    return None if value < 0 else bool(value)
