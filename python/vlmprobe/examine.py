"""From questions to verdicts: who is asked what, and what stays unknown.

Only valid questions cost an answerer call; only answers are judged. A slot without a question counts as invalid and
costs nothing; an outage or an unreadable verdict stays unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from vlmprobe._checks import check_rows
from vlmprobe.ledger.records import AnswerRecord, VerdictRecord
from vlmprobe.models.protocols import Answerer, Picture, Verifier
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply, Verdict
from vlmprobe.models.service import BudgetSpent, Call, Service, Unserved
from vlmprobe.text import Questions

__all__ = ["BudgetSpent", "Examined", "Unserved", "check_budget", "check_served", "examine", "examined_part"]

UNKNOWN = -1


@dataclass(frozen=True)
class Examined:
    """The tables of Q questions after verifier and answerer."""

    valid: Tensor
    """[Q] int8: 1, 0, or -1 for unknown; 0 for a slot without a question."""
    correct: Tensor
    """[Q] int8: 1, 0, or -1 for unknown or not asked."""
    verdicts: list[Verdict | None]
    """[Q] None where there was no question."""
    replies: list[Reply | None]
    """[Q] None where the answerer was not asked."""

    @property
    def calls(self) -> int:
        """Answerer calls."""
        return sum(reply is not None for reply in self.replies)

    @property
    def failures(self) -> dict[str, dict[str, int]]:
        """See `failures_of`."""
        return failures_of(self.verdicts, self.replies)

    def __repr__(self) -> str:
        wrong = int(((self.valid == 1) & (self.correct == 0)).sum())
        return f"Examined({len(self.valid)} questions, {int((self.valid == 1).sum())} valid, {wrong} answered wrongly)"


def failures_of(
    verdicts: Sequence[Verdict | VerdictRecord | None], replies: Sequence[Reply | AnswerRecord | None]
) -> dict[str, dict[str, int]]:
    """What failed, how often: for `validity`, `answer` and `correctness`, those where something did."""
    asked = {
        "validity": [_validity_failure(each) for each in verdicts],
        "answer": [None if reply is None else reply.failure for reply in replies],
        "correctness": [
            None if verdict is None or _validity_failure(verdict) else verdict.failure for verdict in verdicts
        ],
    }
    counts = {what: Counter(str(f) for f in found if f is not None) for what, found in asked.items()}
    return {what: dict(sorted(count.items())) for what, count in counts.items() if count}


def examine(
    images: Sequence[Picture],
    questions: Questions,
    *,
    answerer: Answerer,
    verifier: Verifier,
    max_calls: int | None = None,
    service: Service | None = None,
) -> Examined:
    """Judges the questions, has the valid ones answered, judges the answers.

    Args:
        images: [Q] the picture of each question.
        questions: as parsed.
        answerer, verifier: the models.
        max_calls: valid questions beyond this many are left unanswered (unknown), in the order of the table.
        service: of the loop that these questions are a step of; without one there was no step before.

    Returns:
        Examined tables of Q rows.

    Raises:
        BudgetSpent: a model's budget did not last. What it replied before is lost, but for what a ledger recorded.
        Unserved: no call of a model came through; likewise.
    """
    examined = examined_part(images, questions, answerer=answerer, verifier=verifier, max_calls=max_calls)
    check_served(images, examined, answerer=answerer, verifier=verifier, service=service or Service())
    return examined


def examined_part(
    images: Sequence[Picture],
    questions: Questions,
    *,
    answerer: Answerer,
    verifier: Verifier,
    max_calls: int | None = None,
) -> Examined:
    """As `examine`, for some of a step's questions: none of their calls need come through."""
    total = len(questions)
    if len(images) != total:
        raise ValueError(f"[examine] images: expected {total}, one for each question, got {len(images)}")
    if max_calls is not None and max_calls < 0:
        raise ValueError(f"[examine] max_calls: expected at least 0, got {max_calls}")
    posed = questions.ok.nonzero()[:, 0].tolist()
    judged = verifier.validity([images[i] for i in posed], [questions.text[i] for i in posed]) if posed else []
    check_rows("examine", "verifier.validity", len(posed), judged)
    check_budget(verifier, judged)
    criteria: dict[int, Criteria] = dict(zip(posed, judged, strict=True))

    asked = [i for i in posed if criteria[i].valid][:max_calls]
    given = answerer.answer([images[i] for i in asked], [questions.text[i] for i in asked]) if asked else []
    check_rows("examine", "answerer.answer", len(asked), given)
    check_budget(answerer, given)
    replies: dict[int, Reply] = dict(zip(asked, given, strict=True))

    answered = [i for i in asked if replies[i].ok]
    texts = [cast(str, replies[i].text) for i in answered]
    scored = (
        verifier.correctness([images[i] for i in answered], [questions.text[i] for i in answered], texts)
        if answered
        else []
    )
    check_rows("examine", "verifier.correctness", len(answered), scored)
    check_budget(verifier, scored)
    judgements: dict[int, Judgement] = dict(zip(answered, scored, strict=True))

    valid = torch.tensor([_tri(criteria[i].valid) if i in criteria else 0 for i in range(total)], dtype=torch.int8)
    correct = torch.tensor(
        [_tri(judgements[i].correct) if i in judgements else UNKNOWN for i in range(total)], dtype=torch.int8
    )
    verdicts = [Verdict.join(criteria[i], judgements.get(i)) if i in criteria else None for i in range(total)]
    return Examined(valid, correct, verdicts, [replies.get(i) for i in range(total)])


def check_served(
    images: Sequence[Picture], examined: Examined, *, answerer: Answerer, verifier: Verifier, service: Service
) -> None:
    """Raises Unserved where no call of a model came through. The verifier's calls about answers come after some of its
    calls about questions did."""
    judged = [
        Call(_validity_failure(verdict), verdict.reason, image.id)
        for image, verdict in zip(images, examined.verdicts, strict=True)
        if verdict is not None
    ]
    answered = [
        Call(reply.failure, reply.error, image.id)
        for image, reply in zip(images, examined.replies, strict=True)
        if reply is not None
    ]
    service.check("verifier", verifier, judged)
    service.check("answerer", answerer, answered)


def check_budget(model: Answerer | Verifier, said: Sequence[Reply | Criteria | Judgement]) -> None:
    """Raises BudgetSpent where something was not asked for want of budget."""
    short = sum(each.failure is Failure.BUDGET for each in said)
    if short:
        raise BudgetSpent(
            f"[examine] the budget of {model.identity} is spent, {short} of {len(said)} calls were not made: "
            "raise it, and go on from the last checkpoint; replies in the ledger are not paid for again"
        )


def _validity_failure(verdict: Verdict | VerdictRecord | None) -> Any:
    """Why nothing is known about the question; a failure beside known criteria is the answer's."""
    if verdict is None or any(
        truth is not None for truth in (verdict.grammatical, verdict.atomic, verdict.grounded, verdict.objective)
    ):
        return None
    return verdict.failure


def _tri(value: bool | None) -> int:
    return UNKNOWN if value is None else int(value)
