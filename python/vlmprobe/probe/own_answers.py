"""A verifier that contradicts itself: asked for its own answer to a question that failed, it calls that answer wrong.

No truth is needed to see it. Where a verifier rejects nearly all of its own answers about a kind of failure, it would
have called any answer wrong, and the failures of this kind are its own and not the answerer's. A verifier that sees the
wrong thing and holds to it is not found out in this way: that takes another judge, or people.

    kind    the failures whose questions have a content word in common
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_type_hints

from vlmprobe import metrics
from vlmprobe._util.json import member, parse, typed
from vlmprobe.ledger import Ledger
from vlmprobe.loop.round import Round
from vlmprobe.methods.hints import content_words
from vlmprobe.models.protocols import AnsweringVerifier, Verifier

KIND = "own_answer"
"""Of the events in the ledger, one for each own answer that was judged."""
LEAST = 5
"""Own answers about a kind, for anything to be said of it."""
ENOUGH = 12
"""Own answers about a kind after which it is asked about no more."""
LIMIT = 0.5
"""Share of own answers called wrong that a kind's interval must be above, where no other is given."""


@dataclass(frozen=True, kw_only=True)
class OwnAnswer:
    """What a verifier answered to a failing question, and what it said of that."""

    step: int
    image: int
    """Number of the picture in its source."""
    question: str
    answer: str
    correct: bool
    """False: it called its own answer wrong."""


_FIELDS = get_type_hints(OwnAnswer)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The own answers to questions that have a word."""

    word: str
    wrong: metrics.Rate
    """Share of them that were called wrong, clustered by picture."""


class OwnAnswers:
    """Asks a verifier about some of the failures of each step, those of the kinds that it was asked about least.

    Args:
        verifier: the judge; nothing is asked of one that is no `AnsweringVerifier`.
        most: failing questions of a step, at most.
    """

    def __init__(self, verifier: Verifier, *, most: int):
        self._verifier, self._most, self.found = verifier, most, list[OwnAnswer]()
        self._asked: set[tuple[int, str]] = set()
        self._counts: Counter[str] = Counter()  # word -> questions with it that were asked about

    def recall(self, known: Sequence[OwnAnswer]) -> None:
        """Takes what is known of a step already."""
        for each in known:
            self._take(each.image, each.question)
        self.found += known

    def see(self, round: Round) -> list[OwnAnswer]:
        """Takes an examined round, and asks about it; the own answers that were judged. What could not be had, or not
        be judged, says nothing."""
        if not isinstance(self._verifier, AnsweringVerifier):
            return []
        pictures, texts, rows = round.pictures, round.questions.text, self._chosen(round)
        replies = self._verifier.own_answers([pictures[i] for i in rows], [texts[i] for i in rows]) if rows else []
        said = {i: reply.text for i, reply in zip(rows, replies, strict=True) if reply.text is not None}
        asked = [pictures[i] for i in said], [texts[i] for i in said], list(said.values())
        judged = self._verifier.correctness(*asked) if said else []
        new = [
            OwnAnswer(
                step=round.place.step, image=pictures[i].id, question=texts[i], answer=said[i], correct=each.correct
            )
            for i, each in zip(said, judged, strict=True)
            if each.correct is not None
        ]
        self.found += new
        return new

    def kinds(self) -> list[Kind]:
        """Of all that was found; see `kinds_of`."""
        return kinds_of(self.found)

    def _chosen(self, round: Round) -> list[int]:
        """Rows of distinct failures that were not asked about, the kinds that are known least first."""
        failed = reversed(round.failed.tolist())  # of equal ones the first stays
        new = {(round.pictures[i].id, round.questions.text[i]): i for i in failed}
        left, chosen = {pair: row for pair, row in new.items() if pair not in self._asked}, list[int]()
        while left and len(chosen) < self._most:
            pair = min(left, key=lambda each: (self._known(each[1]), left[each]))
            if self._known(pair[1]) >= ENOUGH:
                break
            chosen.append(left.pop(pair))
            self._take(*pair)
        return chosen

    def _take(self, image: int, text: str) -> None:
        self._asked.add((image, text))
        self._counts.update(content_words(text))

    def _known(self, text: str) -> int:
        """How often the least known of its kinds was asked about."""
        return min((self._counts[word] for word in content_words(text)), default=ENOUGH)


def kinds_of(found: Sequence[OwnAnswer]) -> list[Kind]:
    """The kinds that enough own answers are about, those first that the verifier most surely rejects its own about."""
    about: dict[str, list[OwnAnswer]] = {}
    for each in found:
        for word in content_words(each.question):
            about.setdefault(word, []).append(each)
    kinds = [
        Kind(word=word, wrong=metrics.rate([not each.correct for each in some], cluster=[each.image for each in some]))
        for word, some in about.items()
        if len(some) >= LEAST
    ]
    return sorted(kinds, key=lambda each: (-each.wrong.low, -each.wrong.n, each.word))


def contradicted(kinds: Sequence[Kind], limit: float = LIMIT) -> list[Kind]:
    """The kinds whose failures are to be taken for the verifier's."""
    return [each for each in kinds if each.wrong.low > limit]


def own_answers_of(ledger: Ledger, run: str) -> list[OwnAnswer]:
    """Those that the ledger has, in order."""
    found = []
    for event in ledger.events(run, kind=KIND):
        where = f"run {run!r}, {KIND} of {event.time}"
        content = typed("own_answers", where, parse("own_answers", where, event.text), dict)
        known = {name: member("own_answers", where, content, name, kind) for name, kind in _FIELDS.items()}
        found.append(OwnAnswer(**known))
    return found


def text_of(answer: OwnAnswer) -> str:
    """As an event holds it."""
    return json.dumps(vars(answer))
