"""From questions to verdicts: who is asked what, and what stays unknown.

Only valid questions cost an answerer call; only answers are judged. A slot without a question counts as invalid and
costs nothing; an outage or an unreadable verdict stays unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import cast

from vlmprobe._util.checks import check_rows
from vlmprobe.loop.round import Round
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.models.replies import Criteria, Failure, Judgement, Reply, Verdict
from vlmprobe.models.service import BudgetSpent, Call, Service


def examine(
    round: Round,
    answerer: Answerer,
    verifier: Verifier,
    *,
    max_calls: int | None = None,
    service: Service | None = None,
) -> Round:
    """The round with what the verifier says of its questions, the answers to the valid ones, and what the verifier says
    of these.

    Args:
        round: with questions.
        answerer, verifier: the models.
        max_calls: valid questions beyond this many are left unanswered (unknown), in the order of the table.
        service: of the loop that the round is a step of; without one there was no step before.

    Raises:
        BudgetSpent: a model's budget did not last. What it replied before is lost, but for what a ledger recorded.
        Unserved: no call of a model came through; likewise.
    """
    examined = examined_part(round, answerer, verifier, max_calls=max_calls)
    check_served(examined, answerer, verifier, service or Service())
    return examined


def examined_part(round: Round, answerer: Answerer, verifier: Verifier, *, max_calls: int | None = None) -> Round:
    """As `examine`, for a part of a step: none of its calls need come through."""
    if max_calls is not None and max_calls < 0:
        raise ValueError(f"[examine] max_calls: expected at least 0, got {max_calls}")

    def answered(valid: Sequence[int]) -> dict[int, Reply]:
        asked = valid[:max_calls]
        texts = [round.questions.text[i] for i in asked]
        given = answerer.answer([round.pictures[i] for i in asked], texts) if asked else []
        check_rows("examine", "answerer.answer", len(asked), given)
        check_budget(answerer, given)
        return dict(zip(asked, given, strict=True))

    return judged(round, verifier, answered)


def judged(
    round: Round,
    verifier: Verifier,
    answers: Callable[[Sequence[int]], Mapping[int, Reply]],
    *,
    skip: Collection[int] = (),
) -> Round:
    """The verifier's pass: it judges the questions, then the answers to the valid ones.

    Args:
        round: with questions.
        verifier: the judge.
        answers: rows of the valid questions -> the replies to them, by row: from the answerer, or from a ledger.
        skip: rows that the verifier is not asked about; they have no verdict then.
    """
    round.expect("examine", "questions")
    texts, pictures, total = round.questions.text, round.pictures, len(round.questions)
    posed = [i for i in round.questions.ok.nonzero()[:, 0].tolist() if i not in skip]
    said = verifier.validity([pictures[i] for i in posed], [texts[i] for i in posed]) if posed else []
    check_rows("examine", "verifier.validity", len(posed), said)
    check_budget(verifier, said)
    criteria: dict[int, Criteria] = dict(zip(posed, said, strict=True))

    replies = answers([i for i in posed if criteria[i].valid])

    rows = [i for i, reply in replies.items() if reply.ok]
    answered = [cast(str, replies[i].text) for i in rows]
    found = verifier.correctness([pictures[i] for i in rows], [texts[i] for i in rows], answered) if rows else []
    check_rows("examine", "verifier.correctness", len(rows), found)
    check_budget(verifier, found)
    judgements: dict[int, Judgement] = dict(zip(rows, found, strict=True))

    verdicts = {i: Verdict.join(each, judgements.get(i)) for i, each in criteria.items()}
    return replace(
        round, verdicts=[verdicts.get(i) for i in range(total)], answers=[replies.get(i) for i in range(total)]
    )


def check_served(round: Round, answerer: Answerer, verifier: Verifier, service: Service) -> None:
    """Raises Unserved where no call of a model came through. The verifier's calls about answers come after some of its
    calls about questions did."""
    check_judged(round, verifier, service)
    replies = zip(round.pictures, round.answers, strict=True)
    calls = [Call(reply.failure, reply.error, image.id) for image, reply in replies if reply is not None]
    service.check("answerer", answerer, calls)


def check_judged(round: Round, verifier: Verifier, service: Service) -> None:
    """The verifier's part of `check_served`."""
    verdicts = zip(round.pictures, round.verdicts, strict=True)
    calls = [Call(_unjudged(each), each.reason, image.id) for image, each in verdicts if each is not None]
    service.check("verifier", verifier, calls)


def check_budget(model: Answerer | Verifier, said: Sequence[Reply | Criteria | Judgement]) -> None:
    """Raises BudgetSpent where something was not asked for want of budget."""
    short = sum(each.failure is Failure.BUDGET for each in said)
    if short:
        raise BudgetSpent(
            f"[examine] the budget of {model.identity} is spent, {short} of {len(said)} calls were not made: "
            "raise it, and go on from the last checkpoint; replies in the ledger are not paid for again"
        )


def failures_of(round: Round) -> dict[str, dict[str, int]]:
    """What failed, how often: for `validity`, `answer` and `correctness`, those where something did."""
    verdicts = [verdict for verdict in round.verdicts if verdict is not None]
    found = {
        "validity": [_unjudged(verdict) for verdict in verdicts],
        "answer": [answer.failure for answer in round.answers if answer is not None],
        "correctness": [verdict.failure for verdict in verdicts if _unjudged(verdict) is None],
    }
    counts = {what: Counter(str(failure) for failure in each if failure is not None) for what, each in found.items()}
    return {what: dict(sorted(count.items())) for what, count in counts.items() if count}


def _unjudged(verdict: Verdict) -> Failure | None:
    """Why nothing is known about the question; a failure beside known criteria is the answer's."""
    criteria = (verdict.grammatical, verdict.atomic, verdict.grounded, verdict.objective)
    return verdict.failure if all(truth is None for truth in criteria) else None
