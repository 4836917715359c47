"""What a probe was told to ask about, and what came of each hint, from its rounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from vlmprobe.loop.ask import show_learner
from vlmprobe.loop.round import Round
from vlmprobe.methods.bandit import Bandit
from vlmprobe.methods.local_search import FOLLOWED
from vlmprobe.probe.signs import same

FOLLOW_UPS = "what failed, on other pictures or with a word changed"
"""All follow-ups as one hint."""


def _shown(hint: str) -> str:
    return FOLLOW_UPS if hint.startswith(FOLLOWED) else hint


@dataclass(frozen=True, kw_only=True)
class AskedFor:
    """One hint. Pairs are of picture and question, each counted once, by what was asked for it."""

    hint: str
    pulls: int
    """Pictures for which it was chosen, counted at each step."""
    judged: int
    """Pairs of which the answer was judged."""
    failures: int
    """Of these, those answered wrongly."""
    value: float | None = None
    """What it is worth to the bandit at the end (`vlmprobe.methods.bandit.HintValue`); None of follow-ups, and where
    the bandit is not known."""


class HintCounts:
    """Counts rounds as they come.

    Args:
        bandit: who chose the hints, as it was before the first round; it is shown all of them. None: not known.
    """

    def __init__(self, bandit: Bandit | None = None) -> None:
        self._bandit = bandit
        self._pulls: Counter[str] = Counter()
        self._judged: dict[str, set[tuple[int, str]]] = {}
        self._failed: dict[str, set[tuple[int, str]]] = {}

    def see(self, round: Round) -> None:
        """Takes an examined round."""
        show_learner(self._bandit, round)
        self._pulls.update(_shown(hint) for hint in round.asked.hints if hint)
        rows = zip(map(_shown, round.hints), round.pictures, round.questions.text, round.correct.tolist(), strict=True)
        for hint, picture, text, correct in rows:
            if hint and correct in (0, 1):
                pair = (picture.id, same(text))
                self._judged.setdefault(hint, set()).add(pair)
                if correct == 0:
                    self._failed.setdefault(hint, set()).add(pair)

    def found(self) -> list[AskedFor]:
        """The hints, those with most failures first, then those that were pulled most."""
        values = {} if self._bandit is None else {each.hint: each.value for each in self._bandit.values()}
        rows = [
            AskedFor(
                hint=hint,
                pulls=pulls,
                judged=len(self._judged.get(hint, ())),
                failures=len(self._failed.get(hint, ())),
                value=values.get(hint),
            )
            for hint, pulls in self._pulls.items()
        ]
        return sorted(rows, key=lambda each: (-each.failures, -each.pulls, each.hint))
