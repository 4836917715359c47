"""Evaluation: a frozen questioner, a budget of answerer calls, and the numbers of the paper over what came out.

A `Tally` is a plain list of question rows, so a training run, an evaluation pass and an arm are counted alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlmprobe import metrics
from vlmprobe.asked import Asker, affordable, refusing
from vlmprobe.examine import examine
from vlmprobe.ledger import JudgedQuestions, Ledger, made_or_not, recorded
from vlmprobe.ledger.records import QuestionRecord, StepRecord
from vlmprobe.models.protocols import Answerer, Embedder, Picture, Verifier
from vlmprobe.models.service import Service
from vlmprobe.pictures import images_of_step
from vlmprobe.replay import annotator_of, examined_again, recall
from vlmprobe.steps import Annotator, judges_of, pictures_of, step_record
from vlmprobe.summary import Summary
from vlmprobe.text import parse_responses


@dataclass
class Tally:
    """Question rows with the image of each, in the order in which they were asked."""

    rows: list[tuple[int, QuestionRecord]] = field(default_factory=list)
    """(image id, question)."""
    calls: int = 0
    """Answerer calls for these questions."""
    asking: int = 0
    """Answerer calls that asking took on the way (`Asked.calls`)."""
    left_out: int = 0
    """Pictures that could not be read, counted once a step."""

    def add(self, record: StepRecord) -> None:
        """Adds a step's questions."""
        image_of = {sequence.sequence: sequence.image for sequence in record.sequences}
        for question in record.questions:
            self.append(image_of[question.sequence], question)
        self.asking += int(record.numbers.get("asking_calls") or 0)
        self.left_out += int(record.numbers.get("left_out") or 0)

    @property
    def spent(self) -> int:
        """All answerer calls."""
        return self.calls + self.asking

    def first(self, calls: int) -> Tally:
        """The questions up to the given number of answered ones; those after the last answered one are left out.
        `asking` and `left_out` stay those of all of them."""
        short = Tally(asking=self.asking, left_out=self.left_out)
        for row in self.rows:
            if short.calls >= calls:
                break
            short.append(*row)
        return short

    def append(self, image: int, question: QuestionRecord) -> None:
        """Adds one question."""
        self.rows.append((image, question))
        self.calls += question.answer is not None

    def __repr__(self) -> str:
        more = f" and {self.asking} to ask" if self.asking else ""
        without = f", {self.left_out} pictures left out" if self.left_out else ""
        return f"Tally({len(self.rows)} questions, {self.calls} answerer calls{more}{without})"

    def valid(self) -> list[tuple[int, QuestionRecord]]:
        """The rows judged valid."""
        return [row for row in self.rows if is_valid(row[1])]

    def failures(self) -> list[tuple[int, QuestionRecord]]:
        """The rows judged valid and wrong."""
        return [row for row in self.rows if is_valid(row[1]) and is_correct(row[1]) is False]


def is_valid(question: QuestionRecord) -> bool | None:
    """True, False, or None for unknown, as where a question was not judged; a slot without a question is not valid."""
    if question.verdict is None:
        return None if question.status == "ok" else False
    return question.verdict.valid


def is_correct(question: QuestionRecord) -> bool | None:
    """Whether the answer was judged right: True, False, or None for unknown."""
    return None if question.verdict is None else question.verdict.correct


def recorded_tally(ledger: Ledger, run: str, *, judging: str | None = None) -> Tally:
    """A run's questions as the ledger has them, all phases; with `judging`, as that view judged them."""
    found = Tally()
    for step in ledger.each_step(run, judging=judging):
        found.add(step)
    return found


def rates(tally: Tally) -> tuple[metrics.Rate, metrics.Rate]:
    """QVR over all questions, FDR over the valid ones; clustered by image."""
    found = Summary()
    found.add(judged_of(tally.rows))
    return found.rates()


def summarise(tally: Tally, embedder: Embedder) -> dict[str, Any]:
    """The paper's numbers over a tally, as plain values.

    Returns:
        n_questions, n_valid, n_unscored, qvr and fdr with intervals, vendi (over `summary.VENDI_N` valid questions,
        evenly spaced; `vendi_n` says how many there were), prefix_entropy and its normalised form over the valid
        questions, distinct_failure_texts, duplicates (share of valid questions asked before), answerer_calls; and where
        pictures could not be read, images_left_out.
    """
    found = Summary()
    found.add(judged_of(tally.rows))
    left_out = {"images_left_out": tally.left_out} if tally.left_out else {}
    return {**found.numbers(embedder), **left_out}


def judged_of(rows: Sequence[tuple[int, QuestionRecord]]) -> JudgedQuestions:
    """Rows of a tally as their verifier judged them; their steps are not known."""
    return JudgedQuestions(
        step=[0] * len(rows),
        image=[image for image, _ in rows],
        text=[question.text for _, question in rows],
        valid=[is_valid(question) for _, question in rows],
        correct=[is_correct(question) for _, question in rows],
        asked=[question.answer is not None for _, question in rows],
        annotations=[question.annotations for _, question in rows],
    )


def probe(
    questioner: Asker,
    answerer: Answerer,
    verifier: Verifier,
    images_of: Callable[[int], Sequence[Picture]],
    *,
    calls: int,
    k: int,
    group_size: int = 1,
    seed: int,
    run: str = "run",
    phase: str = "probe",
    ledger: Ledger | None = None,
    annotate: Annotator | None = None,
    max_slots: int | None = None,
    asking_counts: bool = True,
    first_step: int = 0,
    resumed: bool = False,
) -> Tally:
    """Has a frozen questioner ask until exactly `calls` questions have been answered; calls that asking takes itself
    (`Asked.calls`) count among them, and a rest of calls that would not do for asking once more stays.

    Args:
        questioner, answerer, verifier: the models; none of them is changed.
        images_of: step -> its images, such as `vlmprobe.data.in_order` of a source that `vlmprobe.pictures.of_run`
            numbered; those that cannot be read are left out, and said.
        calls: answerer calls to spend, at least 1.
        k, group_size: questions per sequence, sequences per image.
        seed: of sampling; the same seed and images give paired runs.
        run, phase, ledger, annotate: what is written down, as in `Trainer`.
        max_slots: an end for a questioner that asks nothing valid; by default 20 slots for each call.
        asking_counts: False: `calls` answered questions, whatever asking took.
        first_step: number of the first step; sampling depends on seed and step.
        resumed: steps that the ledger has already are gone through again with the replies that it has.

    Returns:
        The tally; fewer than `calls` answered questions only when `max_slots` was reached.

    Raises:
        BudgetSpent: a model's budget did not last; the steps before are in the ledger.
        Unserved: no call of a model came through; likewise.
    """
    if calls < 1:
        raise ValueError(f"[probe] calls: expected at least 1, got {calls}")
    limit = 20 * calls if max_slots is None else max_slots
    questioner = recorded(questioner, ledger, role="questioner")
    answerer = recorded(answerer, ledger, role="answerer")
    verifier = recorded(verifier, ledger, role="verifier")
    tally, service, slots = Tally(), Service(), 0
    for step in itertools.count(first_step):
        known = None if ledger is None else ledger.step(run, phase, step)
        if known is not None and not resumed:
            raise RuntimeError(f"[probe] step {step} of run {run!r} is in the ledger already: use another run or phase")
        images, left_out = images_of_step(
            images_of, step, run=run, phase=phase, ledger=ledger, known=known, refuses=refusing(questioner)
        )
        left = calls - (tally.spent if asking_counts else tally.calls)
        if asking_counts:
            images = affordable(questioner, images, left, k=k, group_size=group_size)
        if not images:
            break
        if ledger is not None:
            ledger.at(run, phase, step)
        with made_or_not(ledger):
            rollouts = questioner.ask(images, k=k, group_size=group_size, seed=seed, step=step)
            questions = parse_responses(rollouts.texts, k=k, token_ends=rollouts.token_ends)
            pictures = pictures_of(images, rollouts, questions)
            left -= rollouts.calls if asking_counts else 0
            if known is None:
                examined = examine(
                    pictures, questions, answerer=answerer, verifier=verifier, max_calls=left, service=service
                )
            else:
                examined = examined_again(known, questions)
                recall(service, known)
        record = step_record(
            run,
            phase,
            step,
            images,
            rollouts,
            questions,
            pictures,
            examined,
            answerer=answerer.identity,
            judge=verifier.identity,
            annotate=annotate if known is None else annotator_of(known),
            judges=judges_of(answerer, verifier),
            left_out=left_out,
        )
        if ledger is not None:
            ledger.record(record)
        tally.add(record)
        slots += len(images) * group_size * k  # also of completions that were left out
        if (tally.spent if asking_counts else tally.calls) >= calls or max(len(tally.rows), slots) >= limit:
            break
    return tally.first(calls)
