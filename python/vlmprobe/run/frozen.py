"""Questions that are known to be valid, put before an answerer, and the answers judged: what two answerers are compared
by, and what a regression suite is evaluated by.

The verifier is asked about the answers alone. Everything is in a ledger: what it has is not asked again, but for what
an outage kept from being answered or judged; of the latter only the verdict is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from vlmprobe._util.checks import check_rows
from vlmprobe.data.image import Image
from vlmprobe.ledger import (
    AnswerRecord,
    ImageRecord,
    JudgeRecord,
    Ledger,
    QuestionRecord,
    SequenceRecord,
    StepRecord,
    VerdictRecord,
    made_or_not,
    recorded,
)
from vlmprobe.loop.examine import check_budget
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.models.replies import Criteria, Judgement, Reply, Verdict
from vlmprobe.models.service import UNSERVED, Call, Service
from vlmprobe.policy.asker import tagged
from vlmprobe.text import prefix

PHASE = "frozen"
AT_ONCE = 64
"""Questions of a step."""
AGAIN = "judged again"
"""Annotation of a question whose answer is that of an earlier step: it cost no call."""
VALID = Criteria(grammatical=True, atomic=True, grounded=True, objective=True)


@dataclass(frozen=True)
class Frozen:
    """A valid question about a picture."""

    image: int
    """Number of the picture in its source."""
    key: str
    """Name of the picture."""
    text: str

    @property
    def pair(self) -> tuple[str, str]:
        """Picture and question; equal ones are one question."""
        return self.key, self.text


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a question."""

    wrong: bool | None
    """Whether the answer was judged wrong; None where there is none, or no verdict on it."""
    answer: str | None
    reason: str
    """The verifier's words."""
    failure: str | None
    """Why something is missing."""

    @property
    def unserved(self) -> bool:
        """Whether an outage, or a refusal of the request, kept it from being known."""
        return self.wrong is None and self.failure in {str(each) for each in UNSERVED}


def ask_frozen(
    questions: Sequence[Frozen],
    answerer: Answerer,
    verifier: Verifier,
    picture_of: Callable[[Frozen], Image | None],
    ledger: Ledger,
    run: str,
    *,
    calls: int | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> dict[tuple[str, str], Outcome]:
    """Has the questions answered and the answers judged, in their order.

    Args:
        questions: each pair of picture and question once.
        answerer, verifier: the models; their calls are in the ledger as they come back.
        picture_of: the picture of a question, or None where it cannot be read; the question is not asked then.
        ledger, run: where it is written down; the run must have begun.
        calls: answerer calls at most, those of earlier processes among them; None: as many as there are questions.
        on_step: told how many outcomes there are, and how many questions.

    Returns:
        Pair -> what became of it; pairs that were not asked, for want of calls or of a picture, are not in it.

    Raises:
        BudgetSpent, Unserved: a role's own budget did not last, or no call of one came through; the steps before are in
            the ledger.
    """
    answers, judge = recorded(answerer, ledger, role="answerer"), recorded(verifier, ledger, role="verifier")
    service, known = Service(), outcomes(ledger, run)
    missing = [each for each in questions if (old := known.get(each.pair)) is None or old.unserved]
    said = {each.pair: old.answer for each in missing if (old := known.get(each.pair)) is not None and old.answer}
    left = _afforded(missing, said, None if calls is None else calls - calls_made(ledger, run))
    step = 1 + max((number for _, number in ledger.recorded_steps(run)), default=-1)
    for begin in range(0, len(left), AT_ONCE):
        some = left[begin : begin + AT_ONCE]
        ledger.at(run, PHASE, step)
        with made_or_not(ledger):
            made = _step(_shown(some, picture_of), answers, judge, said, service, (run, step))
        if made is not None:
            ledger.record(made)
            step += 1
        if on_step is not None:
            on_step(len(known) + begin + len(some), len(questions))
    found = outcomes(ledger, run)
    return {each.pair: found[each.pair] for each in questions if each.pair in found}


def outcomes(ledger: Ledger, run: str) -> dict[tuple[str, str], Outcome]:
    """Pair of picture and question -> what became of it, by its last record in a run."""
    found = {}
    for step in ledger.each_step(run, phase=PHASE):
        image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
        key_of = {image.id: image.key for image in step.images}
        for each in step.questions:
            found[key_of[image_of[each.sequence]], each.text] = _outcome(each)
    return found


def calls_made(ledger: Ledger, run: str) -> int:
    """Answerer calls of a run; one whose answer was judged again counts once."""
    questions = (each for step in ledger.each_step(run, phase=PHASE) for each in step.questions)
    return sum(each.answer is not None and AGAIN not in each.annotations for each in questions)


def _afforded(questions: Sequence[Frozen], said: Mapping[tuple[str, str], str], calls: int | None) -> list[Frozen]:
    """As many as there are calls for, in order; those that have an answer cost none."""
    found, left = [], len(questions) if calls is None else max(0, calls)
    for each in questions:
        cost = each.pair not in said
        if cost <= left:
            left -= cost
            found.append(each)
    return found


def _outcome(question: QuestionRecord) -> Outcome:
    answer, verdict = question.answer, question.verdict
    correct = None if verdict is None else verdict.correct
    failure = answer.failure if answer is not None and answer.failure else None if verdict is None else verdict.failure
    return Outcome(
        wrong=None if correct is None else not correct,
        answer=None if answer is None else answer.text,
        reason="" if verdict is None else verdict.reason,
        failure=failure,
    )


def _shown(some: Sequence[Frozen], picture_of: Callable[[Frozen], Image | None]) -> list[tuple[Frozen, Image]]:
    """The questions whose pictures can be read, with these."""
    found = [(each, picture_of(each)) for each in some]
    return [(each, replace(image, id=each.image)) for each, image in found if image is not None]


def _step(
    shown: Sequence[tuple[Frozen, Image]],
    answerer: Answerer,
    verifier: Verifier,
    said: Mapping[tuple[str, str], str],
    service: Service,
    place: tuple[str, int],
) -> StepRecord | None:
    """None where there is no question."""
    if not shown:
        return None
    some, images = [each for each, _ in shown], [image for _, image in shown]
    replies = _answered(some, images, answerer, said)
    rows = [i for i, reply in enumerate(replies) if reply.ok]
    texts = [cast(str, replies[i].text) for i in rows]
    given = verifier.correctness([images[i] for i in rows], [some[i].text for i in rows], texts) if rows else []
    check_rows("frozen", "verifier.correctness", len(rows), given)
    check_budget(verifier, given)
    judged: dict[int, Judgement] = dict(zip(rows, given, strict=True))
    service.check("answerer", answerer, [Call(r.failure, r.error, q.image) for q, r in zip(some, replies, strict=True)])
    service.check("verifier", verifier, [Call(judged[i].failure, judged[i].reason, some[i].image) for i in rows])
    verdicts = [Verdict.join(VALID, judged.get(i)) for i in range(len(some))]
    run, step = place
    return StepRecord(
        run=run,
        phase=PHASE,
        step=step,
        images=list({image.id: ImageRecord.of(image) for image in images}.values()),
        judges=[JudgeRecord.of("answerer", answerer), JudgeRecord.of("verifier", verifier)],
        **_rows(some, replies, verdicts, (answerer.identity, verifier.identity), said),
    )


def _answered(
    some: Sequence[Frozen], images: Sequence[Image], answerer: Answerer, said: Mapping[tuple[str, str], str]
) -> list[Reply]:
    """The answers, those that are known from before among them."""
    rows = [i for i, each in enumerate(some) if each.pair not in said]
    given = answerer.answer([images[i] for i in rows], [some[i].text for i in rows]) if rows else []
    check_rows("frozen", "answerer.answer", len(rows), given)
    check_budget(answerer, given)
    new = dict(zip(rows, given, strict=True))
    return [new[i] if i in new else Reply(text=said[each.pair]) for i, each in enumerate(some)]


def _rows(
    some: Sequence[Frozen],
    replies: Sequence[Reply],
    verdicts: Sequence[Verdict],
    names: tuple[str, str],
    said: Mapping[tuple[str, str], str],
) -> dict[str, Any]:
    """Sequences and questions: a sequence for each picture, in the order in which they come up."""
    about: dict[int, list[int]] = {}
    for i, each in enumerate(some):
        about.setdefault(each.image, []).append(i)
    sequences = [
        SequenceRecord(sequence=s, image=image, group=s, text=tagged([some[i].text for i in rows]), tokens=0)
        for s, (image, rows) in enumerate(about.items())
    ]
    answerer, verifier = names
    questions = [
        QuestionRecord(
            sequence=s, slot=slot, status="ok", text=some[i].text, prefix=prefix(some[i].text),
            verdict=VerdictRecord.of(verdicts[i], judge=verifier),
            answer=AnswerRecord.of(replies[i], answerer=answerer),
            annotations={AGAIN: True} if some[i].pair in said else {},
        )
        for s, rows in enumerate(about.values())
        for slot, i in enumerate(rows)
    ]  # fmt: skip
    return {"sequences": sequences, "questions": questions}
