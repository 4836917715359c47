"""A finished run seen again without asking the answerer: by another verifier, or with another reward.

The result is kept in the ledger under a name of its own, beside what the run saw; `Ledger.step(..., judging=name)`
reads a step as it looks there. Either function goes on where it was stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vlmprobe.data.order import StepImages
from vlmprobe.data.source import ImageSource
from vlmprobe.evaluation import is_correct, is_valid
from vlmprobe.examine import check_budget
from vlmprobe.ledger import (
    ImageRecord,
    JudgeRecord,
    Ledger,
    QuestionRecord,
    StepRecord,
    VerdictRecord,
    made_or_not,
    recorded,
)
from vlmprobe.memory import QuestionMemory
from vlmprobe.models.protocols import Embedder, Picture, Verifier
from vlmprobe.models.replies import Criteria, Failure, Verdict
from vlmprobe.models.service import Call, Service
from vlmprobe.pictures import recalled
from vlmprobe.reward import Batch, Expression, Rewards
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
    verifier, service, judged = recorded(verifier, ledger, role="verifier"), Service(), 0
    images = recalled(images, ledger, run)
    for step in ledger.each_step(run):
        seen = ledger.step(run, step.phase, step.step, judging=name)
        if seen is not None and any(question.verdict is not None for question in seen.questions):
            continue
        pictures = _read(images, step.images)
        ledger.at(run, f"{step.phase} judged as {name}", step.step)
        with made_or_not(ledger):
            verdicts = _judge(verifier, step, pictures, service)
        questions = [
            replace(question, verdict=verdict) for question, verdict in zip(step.questions, verdicts, strict=True)
        ]
        ledger.record_judging(name, replace(step, questions=questions, judges=[JudgeRecord.of("verifier", verifier)]))
        judged += 1
    return judged


def reweight(
    ledger: Ledger,
    run: str,
    reward: Expression,
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
        batch = _batch(step, embedder, memory, within)
        ledger.record_judging(name, _rewarded(step, reward(batch)))


def _read(images: ImageSource, asked: Sequence[ImageRecord]) -> StepImages:
    """The pictures of a step, checked to be those that were asked about."""
    known = {image.id: image.sha256 for image in asked}
    read = StepImages(images, known)
    for picture in read:
        if picture.sha256 != (sha256 := known[picture.id]):
            expected = f"{sha256:.12} as recorded, got {picture.sha256:.12}"
            raise ValueError(f"[rejudge] images[{picture.id}]: expected {expected}")
    return read


def _judge(verifier: Verifier, step: StepRecord, images: StepImages, service: Service) -> list[VerdictRecord | None]:
    image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
    pictures: dict[int, Picture] = {image.id: image for image in images}
    reason_of = {one.id: one.reason for one in images.left_out}

    def shown(rows: Sequence[QuestionRecord]) -> tuple[list[Picture], list[str]]:
        return [pictures[image_of[row.sequence]] for row in rows], [row.text for row in rows]

    asked = [question for question in step.questions if question.status == "ok"]
    posed = [question for question in asked if image_of[question.sequence] in pictures]
    criteria = verifier.validity(*shown(posed)) if posed else []
    check_budget(verifier, criteria)
    calls = [Call(c.failure, c.reason, image_of[q.sequence]) for q, c in zip(posed, criteria, strict=True)]
    service.check("verifier", verifier, calls)
    pairs = list(zip(posed, criteria, strict=True))
    answers = [(q, q.answer.text) for q, c in pairs if c.valid and q.answer is not None and q.answer.text is not None]
    scored = verifier.correctness(*shown([q for q, _ in answers]), [text for _, text in answers]) if answers else []
    check_budget(verifier, scored)
    judgements = {(q.sequence, q.slot): j for (q, _), j in zip(answers, scored, strict=True)}
    verdicts = {(q.sequence, q.slot): Verdict.join(c, judgements.get((q.sequence, q.slot))) for q, c in pairs}
    for q in asked:
        if (reason := reason_of.get(image_of[q.sequence])) is not None:
            verdicts[q.sequence, q.slot] = Verdict.join(Criteria(reason=reason, failure=Failure.REJECTED))
    return [
        VerdictRecord.of(verdict, judge=verifier.identity) if verdict is not None else None
        for verdict in (verdicts.get((question.sequence, question.slot)) for question in step.questions)
    ]


def _batch(step: StepRecord, embedder: Embedder, memory: QuestionMemory, within: str) -> Batch:
    """What a reward sees of the step; its failures are in the memory afterwards."""
    questions = step.questions
    image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
    place = {sequence.sequence: i for i, sequence in enumerate(step.sequences)}
    images = torch.tensor([image_of[question.sequence] for question in questions], dtype=torch.int64)
    valid = torch.tensor([_tri(is_valid(question)) for question in questions], dtype=torch.int8)
    correct = torch.tensor([_tri(is_correct(question)) for question in questions], dtype=torch.int8)
    semantic = torch.full((len(questions),), float("nan"), dtype=torch.float64)
    lexical = semantic.clone()

    rows = (valid == 1).nonzero()[:, 0]
    if len(rows):
        known = _columns([questions[i] for i in rows.tolist()], images[rows], embedder)
        found = memory.novelty(**known, within=within)
        semantic[rows], lexical[rows] = found.semantic, found.lexical
    wrong = ((valid == 1) & (correct == 0)).nonzero()[:, 0]
    if len(wrong):
        known = _columns([questions[i] for i in wrong.tolist()], images[wrong], embedder)
        memory.commit(step.run, step=step.step, **known)

    return Batch(
        sequence=torch.tensor([place[question.sequence] for question in questions], dtype=torch.int64),
        num_sequences=len(step.sequences),
        valid=valid,
        correct=correct,
        semantic=semantic,
        lexical=lexical,
        texts=[question.text for question in questions],
        images=images,
    )


def _columns(questions: Sequence[QuestionRecord], images: Tensor, embedder: Embedder) -> dict[str, Any]:
    texts = [question.text for question in questions]
    return {
        "image": images,
        "embeddings": embedder(texts),
        "texts": texts,
        "sequence": [question.sequence for question in questions],
        "slot": [question.slot for question in questions],
    }


def _rewarded(step: StepRecord, rewards: Rewards) -> StepRecord:
    terms = {**rewards.terms, "total": rewards.question}
    return replace(
        step,
        sequences=[replace(s, reward=float(rewards.total[i])) for i, s in enumerate(step.sequences)],
        questions=[
            replace(question, rewards={term: float(values[i]) for term, values in terms.items()})
            for i, question in enumerate(step.questions)
        ],
    )


def _tri(value: bool | None) -> int:
    return -1 if value is None else int(value)
