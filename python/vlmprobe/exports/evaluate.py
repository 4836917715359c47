"""A suite's questions asked of an answerer: how many are answered rightly by now, in all and in each failure mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe import metrics
from vlmprobe._util.json import plain
from vlmprobe.data.image import Image
from vlmprobe.exports.suite import Item, Suite
from vlmprobe.ledger import Ledger
from vlmprobe.models.protocols import Answerer, Verifier
from vlmprobe.run.frozen import Frozen, Outcome, ask_frozen

NO_MODE = "none"
"""In the place of an id, for the items of no mode."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What became of the items of a suite."""

    suite: Suite
    outcomes: Sequence[Outcome]
    """[N] of each item."""

    @property
    def rate(self) -> metrics.Rate:
        """Of right answers, among those that were judged."""
        return self._rate(range(len(self.outcomes)))

    @property
    def by_mode(self) -> Mapping[str, metrics.Rate]:
        """Id of a mode -> the same of its items; `NO_MODE` for those of none."""
        of: dict[str, list[int]] = {id: [] for id in self.suite.modes}
        for i, item in enumerate(self.suite.items):
            for id in item.modes or [NO_MODE]:
                of.setdefault(id, []).append(i)
        return {id: self._rate(rows) for id, rows in of.items() if rows}

    @property
    def unscored(self) -> float:
        """Share of the items without an answer or a verdict."""
        return sum(each.wrong is None for each in self.outcomes) / len(self.outcomes)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = plain(
            {
                "suite": {name: self.suite.about[name] for name in ("name", "version", "content_sha256")},
                "rate": _plain(self.rate),
                "unscored": self.unscored,
                "modes": [
                    {"id": id, "name": self.suite.modes.get(id, ""), **_plain(rate)}
                    for id, rate in self.by_mode.items()
                ],
                "items": [
                    {"id": item.id, "right": None if each.wrong is None else not each.wrong, "answer": each.answer}
                    for item, each in zip(self.suite.items, self.outcomes, strict=True)
                ],
            }
        )
        return found

    def _rate(self, rows: Sequence[int]) -> metrics.Rate:
        right = [None if (wrong := self.outcomes[i].wrong) is None else not wrong for i in rows]
        return metrics.rate(right, cluster=[self.suite.items[i].sha256 for i in rows])


def evaluate(
    suite: Suite,
    answerer: Answerer,
    verifier: Verifier,
    ledger: Ledger,
    run: str,
    *,
    on_step: Callable[[int, int], None] | None = None,
) -> Evaluated:
    """Asks, and has the answers judged.

    Args:
        suite: whose questions are asked.
        answerer, verifier: the models.
        ledger, run: where it is written down; the run must have begun. What it has is not asked again.
        on_step: told how many items are done, and how many there are.

    Raises:
        ValueError: a picture of the suite is gone or another.
        BudgetSpent, Unserved: as `vlmprobe.run.frozen.ask_frozen`.
    """
    number = {item.sha256: i for i, item in reversed(list(enumerate(suite.items)))}
    questions = [_question(item, number[item.sha256]) for item in suite.items]

    def picture(each: Frozen) -> Image:
        return suite.image(each.image)

    found = ask_frozen(questions, answerer, verifier, picture, ledger, run, on_step=on_step)
    return Evaluated(suite=suite, outcomes=[found[each.pair] for each in questions])


def _question(item: Item, image: int) -> Frozen:
    return Frozen(image, item.picture, item.question)


def _plain(rate: metrics.Rate) -> dict[str, Any]:
    return {"value": rate.value, "interval": [rate.low, rate.high], "n": rate.n, "unscored": rate.n_unscored}
