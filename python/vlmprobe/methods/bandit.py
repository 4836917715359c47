"""Thompson sampling over hints, whose value diminishes as failures of their kind are found. It needs no gradient.

    n, f      distinct (picture, question) pairs that have the hint and were judged, and those answered wrongly
    base      (1 + failures) / (20 + judged) over all pairs
    value     draw of Beta(max(1/2, 20 base) + f, 20 + n - f), divided by (1 + f/10) (1 + pulls/20)

The hint of the highest value is pulled; each image of a step pulls one. A question counts for every hint whose words it
has, whoever asked it, and for the hint that it was asked for where that is a phrase. What failed brings new hints: its
words, pairs of them, and two hints at once that each failed. Kinds are known from the texts of questions and from
verdicts alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vlmprobe._util.checks import check_count, check_positive
from vlmprobe.loop.round import Round
from vlmprobe.methods.hints import Hint, checked, content_words, digest, word_hints


@dataclass(frozen=True, kw_only=True)
class BanditOptions:
    """Of the values, and of the hints that failures bring."""

    prior: float = 20.0
    """Judged pairs that the base rate stands for in each hint's posterior."""
    cap: float = 10.0
    """Failures at which a hint is worth half."""
    pulls: float = 20.0
    """Pulls at which a hint is worth half."""
    grows: bool = True
    """Whether failures bring new hints."""
    most: int = 4000
    """Hints at most; later ones are not taken up."""

    def __post_init__(self) -> None:
        for name in ("prior", "cap", "pulls"):
            check_positive("BanditOptions", name, getattr(self, name))
        check_count("BanditOptions", "most", self.most)


@dataclass(frozen=True, kw_only=True)
class HintValue:
    """What is known of a hint."""

    hint: str
    pulls: int
    """Images for which it was chosen."""
    n: int
    """Distinct judged pairs of picture and question that have it."""
    failures: int
    """Of these, those answered wrongly."""
    value: float
    """Mean of its draws as things stand, in (0, 1): the posterior's mean, diminished by failures and pulls."""


class Bandit:
    """See the head of this file; `vlmprobe.loop.ask.Learns` and `vlmprobe.methods.hints.Hints`.

    Args:
        hints: at least one, to begin with.
        options: see `BanditOptions`.
        fits: whether the questioner can be told a hint that failures bring; by default any.

    Example:
        >>> asker = ChatAsker(client, hints=Bandit(read_hints()))  # doctest: +SKIP
        >>> probe(asker, answerer, verifier, images_of, calls=6000, k=2, seed=0)  # doctest: +SKIP
    """

    def __init__(
        self,
        hints: Sequence[Hint],
        options: BanditOptions = BanditOptions(),
        *,
        fits: Callable[[Hint], bool] = lambda hint: True,
    ):
        self._options, self._fits, self._hints = options, fits, list[Hint]()
        self._at: dict[str, int] = {}
        self._with: dict[str, list[int]] = {}  # word -> hints of which it is the first
        self._n, self._failures, self._pulls = (np.zeros(max(options.most, len(hints))) for _ in range(3))
        self._pairs: set[tuple[int, str]] = set()
        self._asked: dict[str, set[int]] = {}  # word -> numbers of the judged pairs that have it
        self._wrong: set[int] = set()
        for hint in checked("Bandit", hints):
            self._add(hint)
        self.identity = f"bandit over {len(hints)} hints {digest([hint.text for hint in hints])}, {options}"

    def __repr__(self) -> str:
        return f"Bandit({len(self._hints)} hints, {len(self._pairs)} pairs, {len(self._wrong)} failures)"

    @property
    def base_rate(self) -> float:
        """Share of failures among the judged pairs, smoothed."""
        return (1 + len(self._wrong)) / (20 + len(self._pairs))

    def values(self) -> list[HintValue]:
        """What is known of each hint, in the order in which they came up."""
        counted = [column[: len(self._hints)] for column in (self._pulls, self._n, self._failures)]
        a, b, worth = self._posteriors()
        values = (a / (a + b) * worth / (1 + counted[0] / self._options.pulls)).tolist()
        columns = (column.astype(int).tolist() for column in counted)
        return [
            HintValue(hint=hint.text, pulls=pulls, n=n, failures=failures, value=value)
            for hint, pulls, n, failures, value in zip(self._hints, *columns, values, strict=True)
        ]

    def choose(self, count: int, *, seed: int, step: int) -> list[str]:
        """See `vlmprobe.methods.hints.Hints`. Pulls of the step itself count already; they are kept when it is seen."""
        rng = np.random.default_rng([seed, step])
        a, b, worth = self._posteriors()
        pulls = self._pulls[: len(self._hints)].copy()
        chosen = []
        for _ in range(count):
            best = int(np.argmax(rng.beta(a, b) * worth / (1 + pulls / self._options.pulls)))
            pulls[best] += 1
            chosen.append(self._hints[best].text)
        return chosen

    def see(self, round: Round) -> None:
        """See `vlmprobe.loop.ask.Learns`. An answer that could not be judged counts for nothing."""
        for hint in round.asked.hints:
            if hint in self._at:
                self._pulls[self._at[hint]] += 1
        judged = ((round.valid == 1) & (round.correct != -1)).nonzero()[:, 0].tolist()
        failed: list[frozenset[str]] = []
        for i in judged:
            wrong = int(round.correct[i]) == 0
            if self._count(round.pictures[i].id, round.questions.text[i], round.hints[i], wrong) and wrong:
                failed.append(content_words(round.questions.text[i]))
        if self._options.grows:
            self._grow(failed, [round.hints[i] for i in judged if int(round.correct[i]) == 0])

    def _posteriors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[H] each: both parameters of the Beta posterior, and what is left of the value for the failures there are."""
        options, known = self._options, len(self._hints)
        failures = self._failures[:known]
        a = max(0.5, options.prior * self.base_rate) + failures
        b = options.prior + self._n[:known] - failures
        return a, b, 1 / (1 + failures / options.cap)

    def _count(self, image: int, question: str, asked_for: str, wrong: bool) -> bool:
        """Counts a judged question; False for one that was counted before."""
        if (image, question) in self._pairs:
            return False
        number, words = len(self._pairs), content_words(question)
        self._pairs.add((image, question))
        if wrong:
            self._wrong.add(number)
        for word in words:
            self._asked.setdefault(word, set()).add(number)
        about = {i for word in words for i in self._with.get(word, ()) if self._hints[i].words <= words}
        pulled = self._at.get(asked_for)
        if pulled is not None and not self._hints[pulled].words:
            about.add(pulled)
        for i in about:
            self._n[i] += 1
            self._failures[i] += wrong
        return True

    def _grow(self, failed: Iterable[frozenset[str]], asked_for: Iterable[str]) -> None:
        """Takes up what failures bring: their words, and each hint that failed with the one that failed before it."""
        hints = [self._hints[self._at[text]] for text in dict.fromkeys(asked_for) if text in self._at]
        both = [one.and_(other) for one, other in itertools.pairwise(hint for hint in hints if not hint.composed)]
        for hint in (*itertools.chain.from_iterable(map(word_hints, failed)), *both):
            if self._fits(hint):
                self._add(hint)

    def _add(self, hint: Hint) -> None:
        """Takes up a hint with what is known of its words; nothing where it is known, or there are too many."""
        at = len(self._hints)
        if hint.text in self._at or at >= len(self._n):
            return
        self._at[hint.text] = at
        self._hints.append(hint)
        if hint.words:
            self._with.setdefault(min(hint.words), []).append(at)
            asked = set.intersection(*(self._asked.get(word, set()) for word in hint.words))
            self._n[at], self._failures[at] = len(asked), len(asked & self._wrong)
