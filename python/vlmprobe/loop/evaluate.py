"""Evaluation: the loop without learning, for a budget of answerer calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from vlmprobe._util.html import table, titled
from vlmprobe.ledger.records import QuestionRecord
from vlmprobe.loop.ask import ImagesOf, calls_at_most
from vlmprobe.loop.journal import Journal, Unkept
from vlmprobe.loop.record import question_records
from vlmprobe.loop.round import Round
from vlmprobe.loop.tally import Tally
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.policy.asker import Asker

SLOTS_A_CALL = 20  # an asker of which so many slots a call are not valid is given up
SHOWN = 10  # failures in a notebook


class Evaluation(Tally):
    """The tally of an evaluation, with the failures that it found."""

    def __init__(self) -> None:
        super().__init__()
        self._failures: list[tuple[int, QuestionRecord]] = []

    def failures(self) -> list[tuple[int, QuestionRecord]]:
        """The questions judged valid and answered wrongly, each with the number of its image."""
        return list(self._failures)

    def _repr_html_(self) -> str:
        """The numbers, and the first failures."""
        found = [
            (image, one.text, one.answer.text if one.answer else "", one.verdict.reason if one.verdict else "")
            for image, one in self._failures[:SHOWN]
        ]
        more = f"{len(self._failures)} failures" + (
            f", of which {SHOWN} are shown" if len(self._failures) > SHOWN else ""
        )
        heads = ("picture", "question", "answer", "the verifier's reason")
        return titled(type(self).__name__, self.shown(), titled(more, table(heads, found)))

    def take(self, round: Round, answerer: Answerer, verifier: Verifier, *, calls: int) -> None:
        """Counts an examined round as `see` does, and keeps its failures."""
        self.see(round, calls=calls)
        rows = round.failed.tolist()
        found = question_records(round, answerer, verifier, rows)
        self._failures += [(round.pictures[i].id, question) for i, question in zip(rows, found, strict=True)]


def evaluate(
    asker: Asker,
    answerer: Answerer,
    verifier: Verifier,
    images_of: ImagesOf,
    *,
    calls: int,
    k: int,
    group_size: int = 1,
    seed: int,
    journal: Journal | None = None,
    max_slots: int | None = None,
    asking_counts: bool = True,
    first_step: int = 0,
    on_round: Callable[[Round], None] | None = None,
    enough: Callable[[Evaluation], bool] | None = None,
) -> Evaluation:
    """Has an asker ask until exactly `calls` questions have been answered, calls that asking takes itself among them; a
    rest of calls that would not do for asking once more stays.

    Args:
        asker, answerer, verifier: the models; none of them is changed.
        images_of: step -> its images, such as `vlmprobe.data.in_order` gives; those that cannot be read are left out,
            and said.
        calls: answerer calls to spend, at least 1.
        k, group_size, seed: questions per sequence, sequences per image, of sampling.
        journal: what is read back and written down; by default nothing is.
        max_slots: an end for an asker that asks nothing valid; by default 20 for each call.
        asking_counts: False: `calls` answered questions, whatever asking took.
        first_step: number of the first step; sampling depends on seed and step.
        on_round: sees each examined round.
        enough: of what was found so far; asked before each round.

    Returns:
        What was found; fewer than `calls` answered questions only when `max_slots` was reached.

    Raises:
        BudgetSpent, Unserved: as `vlmprobe.loop.examine.examine`; the steps before are in the journal.
    """
    if calls < 1:
        raise ValueError(f"[evaluate] calls: expected at least 1, got {calls}")
    journal = journal or Unkept(phase="evaluation")
    limit = SLOTS_A_CALL * calls if max_slots is None else max_slots
    least = calls_at_most(asker, k=k, group_size=group_size) if asking_counts else 0
    found, slots = Evaluation(), 0
    for step in itertools.count(first_step):
        left = calls - (found.spent if asking_counts else found.calls)
        if left <= least or slots >= limit or (enough is not None and enough(found)):
            return found
        with journal.open(step, max_calls=left, asking_free=not asking_counts) as page:
            asked = page.ask(asker, images_of, k=k, group_size=group_size, seed=seed)
            if not asked.images:
                return found
            examined = page.examine(asked, answerer, verifier)
            page.write(examined)
        found.take(examined, answerer, verifier, calls=calls)
        slots += max(len(examined.questions), len(asked.images) * group_size * k)  # also of completions left out
        if on_round is not None:
            on_round(examined)
    raise AssertionError("unreachable")
