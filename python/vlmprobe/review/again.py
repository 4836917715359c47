"""A finished run seen again without asking the answerer: by another verifier, or with another reward.

The result is kept in the ledger under a name of its own, beside what the run saw; `Ledger.step(..., judging=name)`
reads a step as it looks there. Either function goes on where it was stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vlmprobe.data.order import StepImages
from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import ImageRecord, JudgeRecord, Ledger, StepRecord, VerdictRecord, made_or_not, recorded
from vlmprobe.loop.examine import check_judged, judged
from vlmprobe.loop.learn import remember
from vlmprobe.loop.record import recorded_round
from vlmprobe.loop.round import Round
from vlmprobe.loop.score import Reward, score
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.protocols import Embedder, Verifier
from vlmprobe.models.replies import Criteria, Failure, Reply, Verdict
from vlmprobe.models.service import Service
from vlmprobe.run.pictures import recalled
from vlmprobe.text import DEFAULT_PREFIX_LENGTH


def rejudge(ledger: Ledger, run: str, verifier: Verifier, images: ImageSource, *, name: str) -> int:
    """Has another verifier judge the questions and the recorded answers of a run.

    A question that only the new verifier holds valid has no answer; whether it would be right stays unknown.

    Args:
        ledger: of the run, open for writing.
        run: its name.
        verifier: the judge.
        images: the run's own; the ledger has their hashes only. What was asked about one that cannot be read any more
            is not judged: its verdicts are unknown, with a failure and a reason that names the picture.
        name: of the result.

    Returns:
        The steps that were judged; those that were judged before are not judged again.

    Raises:
        ValueError: an image that is not the one that was asked about.
        BudgetSpent: the verifier's budget did not last; what was judged is kept.
        Unserved: no call of the verifier about a step came through; likewise.
    """
    ledger.begin_judging(run, name)
    verifier, service, count = recorded(verifier, ledger, role="verifier"), Service(), 0
    images = recalled(images, ledger, run)
    for step in ledger.each_step(run):
        seen = ledger.step(run, step.phase, step.step, judging=name)
        if seen is not None and any(question.verdict is not None for question in seen.questions):
            continue
        pictures = _read(images, step.images)
        ledger.at(run, f"{step.phase} judged as {name}", step.step)
        with made_or_not(ledger):
            found = _judged_again(step, pictures, verifier, service)
        ledger.record_judging(name, _with_verdicts(step, found, verifier))
        count += 1
    return count


def reweight(
    ledger: Ledger,
    run: str,
    reward: Reward,
    embedder: Embedder,
    *,
    name: str,
    base: str | None = None,
    within: str = "none",
    prefix_length: int = DEFAULT_PREFIX_LENGTH,
) -> None:
    """Computes another reward over a run, in the order of its steps, each against the failures of those before it.

    Args:
        ledger: of the run, open for writing.
        run: its name; every phase has a memory of its own.
        reward: the expression.
        embedder: the run's own, for equal novelties.
        name: of the result.
        base: the judging whose verdicts count; None for the run's own.
        within, prefix_length: the run's own, as in `TrainerOptions` and `QuestionMemory`.
    """
    ledger.begin_judging(run, name, base=base, reward=repr(reward))
    memories: dict[str, QuestionMemory] = {}
    for step in ledger.each_step(run, judging=base):
        memory = memories.setdefault(step.phase, QuestionMemory(embedder.dim, prefix_length=prefix_length))
        scored = score(recorded_round(step), memory, embedder, reward, within=within)
        remember(memory, scored)
        ledger.record_judging(name, _with_rewards(step, scored))


def _read(images: ImageSource, asked: Sequence[ImageRecord]) -> StepImages:
    """The pictures of a step, checked to be those that were asked about."""
    known = {image.id: image.sha256 for image in asked}
    read = StepImages(images, known)
    for picture in read:
        if picture.sha256 != (sha256 := known[picture.id]):
            expected = f"{sha256:.12} as recorded, got {picture.sha256:.12}"
            raise ValueError(f"[rejudge] images[{picture.id}]: expected {expected}")
    return read


def _judged_again(step: StepRecord, pictures: StepImages, verifier: Verifier, service: Service) -> list[Verdict | None]:
    """[Q] this verifier's verdicts. A question about a picture that cannot be read is not judged."""
    round = recorded_round(step, {image.id: image for image in pictures})
    unread = {one.id: Verdict.join(Criteria(reason=one.reason, failure=Failure.REJECTED)) for one in pictures.left_out}
    posed = zip(round.pictures, round.questions.ok.tolist(), strict=True)
    lacking = {i: unread[picture.id] for i, (picture, ok) in enumerate(posed) if ok and picture.id in unread}

    def answers(valid: Sequence[int]) -> dict[int, Reply]:
        return {i: reply for i in valid if (reply := round.answers[i]) is not None}

    found = judged(round, verifier, answers, skip=lacking)
    check_judged(found, verifier, service)
    return [lacking.get(i, verdict) for i, verdict in enumerate(found.verdicts)]


def _with_verdicts(step: StepRecord, verdicts: Sequence[Verdict | None], verifier: Verifier) -> StepRecord:
    judges = [JudgeRecord.of("verifier", verifier)]
    records = [None if each is None else VerdictRecord.of(each, judge=verifier.identity) for each in verdicts]
    rows = zip(step.questions, records, strict=True)
    return replace(step, questions=[replace(question, verdict=each) for question, each in rows], judges=judges)


def _with_rewards(step: StepRecord, scored: Round) -> StepRecord:
    rewards = scored.rewards
    terms = {name: values.tolist() for name, values in {**rewards.terms, "total": rewards.question}.items()}
    return replace(
        step,
        sequences=[replace(s, reward=reward) for s, reward in zip(step.sequences, rewards.total.tolist(), strict=True)],
        questions=[
            replace(question, rewards={name: values[i] for name, values in terms.items()})
            for i, question in enumerate(step.questions)
        ],
    )
