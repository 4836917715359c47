"""An evaluation that is written down: `vlmprobe.loop.evaluate` with a ledger."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from vlmprobe.ledger import Ledger, recorded
from vlmprobe.loop.ask import ImagesOf, learner_of, show_learner
from vlmprobe.loop.evaluate import Evaluation, evaluate
from vlmprobe.loop.round import Round
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.policy.asker import Asker, AsksAnswerer
from vlmprobe.run.ahead import Ahead
from vlmprobe.run.journal import Annotator, RunJournal
from vlmprobe.run.overlap import Overlap


def probe(
    questioner: Asker,
    answerer: Answerer,
    verifier: Verifier,
    images_of: ImagesOf,
    *,
    run: str = "run",
    phase: str = "probe",
    ledger: Ledger | None = None,
    annotate: Annotator | None = None,
    resumed: bool = False,
    on_round: Callable[[Round], None] | None = None,
    overlap: bool = False,
    worth: Callable[[int], bool] = lambda step: True,
    learns: bool = True,
    **budget: Any,
) -> Evaluation:
    """Has a frozen questioner ask until its calls are spent, and writes down what was said.

    Args:
        questioner, answerer, verifier: the models; none of them is changed, and calls of those that ask a model are in
            the ledger as they come back.
        images_of: step -> its images, of a source that `vlmprobe.run.pictures.of_run` numbered.
        run, phase: their names in the ledger; the run must have begun.
        ledger: where it is written down; None: nowhere.
        annotate: adds what is known about a question besides.
        resumed: steps that the ledger has already are gone through again with the replies that it has.
        on_round: sees each examined round.
        overlap: pictures of a step are judged side by side, and the next step is asked meanwhile, unless the asker
            waits for what became of this one (`vlmprobe.loop.ask.Learns`). For models that may be called from several
            threads, as those behind endpoints may.
        worth: with `overlap`, whether a step is likely to come; what is not is not asked ahead.
        learns: whether an asker that looks at what became of its questions is shown that (`vlmprobe.loop.ask.Learns`).
        budget: `calls`, `k`, `group_size`, `seed`, `max_slots`, `asking_counts`, `first_step`, `enough` of `evaluate`.

    Returns:
        What was found.

    Raises:
        BudgetSpent, Unserved: as in `evaluate`; the steps before are in the ledger.
    """
    asker = recorded(questioner, ledger, role="questioner")
    answers, judge = recorded(answerer, ledger, role="answerer"), recorded(verifier, ledger, role="verifier")
    side_by_side = partial(Overlap, answerer=answers, verifier=judge) if overlap else None
    journal = RunJournal(run, phase, ledger=ledger, resumed=resumed, annotate=annotate, overlap=side_by_side)
    learner = learner_of(asker) if learns else None
    # What asks the answerer shares its calls with the step before, and what learns waits for the verdicts of that.
    ahead = overlap and not isinstance(asker, AsksAnswerer) and learner is None

    def seen(round: Round) -> None:
        if learns:
            show_learner(asker, round)
        if on_round is not None:
            on_round(round)

    with Ahead(asker, images_of, run=run, phase=phase, ledger=ledger, worth=worth) if ahead else nullcontext() as early:
        asks, shows = (asker, images_of) if early is None else (early, early.images_of)
        return evaluate(asks, answers, judge, shows, journal=journal, on_round=seen, **budget)
