"""An evaluation that is written down: `vlmprobe.loop.evaluate` with a ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vlmprobe.ledger import Ledger, recorded
from vlmprobe.loop.ask import ImagesOf
from vlmprobe.loop.evaluate import Evaluation, evaluate
from vlmprobe.loop.round import Round
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.policy.asker import Asker
from vlmprobe.run.journal import Annotator, RunJournal


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
        budget: `calls`, `k`, `group_size`, `seed`, `max_slots`, `asking_counts`, `first_step`, `enough` of `evaluate`.

    Returns:
        What was found.

    Raises:
        BudgetSpent, Unserved: as in `evaluate`; the steps before are in the ledger.
    """
    return evaluate(
        recorded(questioner, ledger, role="questioner"),
        recorded(answerer, ledger, role="answerer"),
        recorded(verifier, ledger, role="verifier"),
        images_of,
        journal=RunJournal(run, phase, ledger=ledger, resumed=resumed, annotate=annotate),
        on_round=on_round,
        **budget,
    )
