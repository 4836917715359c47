"""Canaries: questions and answers whose verdict is known beforehand ride in every batch of a verifier.

They are made of the batch itself, so they work on any images:

    broken grammar           a question with its words in another order        should not be valid
    another image's question a question about a picture it was not made for    should not be valid
    another question's answer a number where a word is due, or the reverse     should not be right

The second kind can be valid by chance, so its share is a trend and no error rate. What the verifier says of canaries
reaches nobody but the tally. Training seeks a verifier's errors: when the reward rises while the verifier catches fewer
canaries, `CanaryWatch` gives the alarm.
"""

from __future__ import annotations

import copy
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Protocol, runtime_checkable

from vlmprobe._native import core
from vlmprobe._util.checks import check_count
from vlmprobe._util.json import member, parse, typed
from vlmprobe.ledger import Ledger
from vlmprobe.models.model import Model
from vlmprobe.models.protocols import Picture, Verifier
from vlmprobe.models.replies import Criteria, Judgement

GRAMMAR, IMAGE, ANSWER = "broken grammar", "another image's question", "another question's answer"
NUMBERS = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"}


@dataclass
class Caught:
    """Canaries of one kind."""

    n: int = 0
    """Judged; those without a verdict are not among them."""
    caught: int = 0
    """Of these, judged as they should be."""
    unknown: int = 0
    """Without a verdict."""

    def count(self, verdict: bool | None) -> None:
        """Adds one whose verdict should be False."""
        self.unknown += verdict is None
        self.n += verdict is not None
        self.caught += verdict is False


@runtime_checkable
class Canaried(Protocol):
    """A verifier with canaries."""

    def take_canaries(self) -> Mapping[str, Caught]:
        """What became of the canaries since the last call, by kind."""


@dataclass(frozen=True)
class _Row:
    image: Picture
    question: str
    answer: str = ""


class CanaryVerifier:
    """A verifier that judges canaries besides, in the same batches.

    Args:
        verifier: the judge.
        share: canaries of each kind for each row of a batch, in (0, 1]; at least one where one can be made.
        seed: of which rows they are made of; nothing else depends on it.

    Example:
        >>> trainer = Trainer(questioner, answerer, CanaryVerifier(verifier), embedder, images)  # doctest: +SKIP
    """

    def __init__(self, verifier: Verifier, *, share: float = 0.05, seed: int = 0):
        if not 0 < share <= 1:
            raise ValueError(f"[CanaryVerifier] share: expected a share in (0, 1], got {share!r}")
        self._verifier, self._share, self._seed = verifier, share, seed
        self._caught: dict[str, Caught] = {}

    @property
    def identity(self) -> str:
        """The judge's own: canaries change none of its verdicts."""
        return self._verifier.identity

    @property
    def model(self) -> Model | None:
        """Who is asked, where the judge asks a model."""
        return getattr(self._verifier, "model", None)

    def with_model(self, model: Model) -> CanaryVerifier:
        """The same, asking another model."""
        other = copy.copy(self)
        other._verifier = self._verifier.with_model(model)  # type: ignore[attr-defined]
        return other

    def validity(self, images: Sequence[Picture], questions: Sequence[str]) -> list[Criteria]:
        """See `vlmprobe.models.protocols.Verifier`."""
        rows = [_Row(image, question) for image, question in zip(images, questions, strict=True)]
        planted = [(GRAMMAR, row) for row in self._chosen(rows, broken)]
        planted += [(IMAGE, row) for row in self._chosen(rows, _exchanged_image(rows))]
        everything = rows + [row for _, row in planted]
        found = self._verifier.validity([row.image for row in everything], [row.question for row in everything])
        for (kind, _), criteria in zip(planted, found[len(rows) :], strict=True):
            self._count(kind, criteria.valid)
        return found[: len(rows)]

    def correctness(
        self, images: Sequence[Picture], questions: Sequence[str], answers: Sequence[str]
    ) -> list[Judgement]:
        """See `vlmprobe.models.protocols.Verifier`."""
        rows = [_Row(*row) for row in zip(images, questions, answers, strict=True)]
        planted = self._chosen(rows, _exchanged_answer(rows))
        everything = rows + planted
        found = self._verifier.correctness(
            [row.image for row in everything],
            [row.question for row in everything],
            [row.answer for row in everything],
        )
        for judgement in found[len(rows) :]:
            self._count(ANSWER, judgement.correct)
        return found[: len(rows)]

    def take_canaries(self) -> Mapping[str, Caught]:
        """What became of the canaries since the last call, by kind."""
        taken, self._caught = self._caught, {}
        return taken

    def _count(self, kind: str, verdict: bool | None) -> None:
        self._caught.setdefault(kind, Caught()).count(verdict)

    def _chosen(self, rows: Sequence[_Row], make: Callable[[_Row], _Row | None]) -> list[_Row]:
        """Some of what can be made of the rows; which, depends on the rows and not on their order."""
        made = [row for row in map(make, rows) if row is not None]
        keys = {id(row): core.hash(f"{self._seed} {row.image.sha256} {row.question} {row.answer}") for row in made}
        return sorted(made, key=lambda row: keys[id(row)])[: math.ceil(self._share * len(rows))]

    def __repr__(self) -> str:
        return f"CanaryVerifier({self._verifier!r}, share={self._share:g})"


def broken(row: _Row) -> _Row | None:
    """The question with its words turned round; None below four words, where that may still be a sentence."""
    words = row.question.rstrip("?. ").split()
    turned = words[::-1]
    return replace(row, question=" ".join(turned) + "?") if len(words) >= 4 and turned != words else None


def _exchanged_image(rows: Sequence[_Row]) -> Callable[[_Row], _Row | None]:
    """Each question beside the batch's next picture that it was not asked about."""
    asked = {(row.image.sha256, row.question) for row in rows}
    pictures = {row.image.sha256: row.image for row in rows}
    order = sorted(pictures)

    def make(row: _Row) -> _Row | None:
        at = order.index(row.image.sha256)
        others = order[at + 1 :] + order[:at]
        found = next((other for other in others if (other, row.question) not in asked), None)
        return None if found is None else replace(row, image=pictures[found])

    return make


def _exchanged_answer(rows: Sequence[_Row]) -> Callable[[_Row], _Row | None]:
    """Each question with an answer of another sort: a number, yes or no, or words."""
    by_sort: dict[str, list[str]] = {}
    for row in rows:
        by_sort.setdefault(sort_of(row.answer), []).append(row.answer)

    def make(row: _Row) -> _Row | None:
        other = next((sort for sort in sorted(by_sort) if sort != sort_of(row.answer)), None)
        return None if other is None else replace(row, answer=min(by_sort[other]))

    return make


def sort_of(answer: str) -> str:
    """`number`, `yes or no`, or `words`."""
    word = answer.strip(" .!").casefold()
    if word in {"yes", "no"}:
        return "yes or no"
    return "number" if word.isdigit() or word in NUMBERS else "words"


@dataclass(frozen=True)
class _Step:
    reward: float
    n: int
    caught: int


class CanaryWatch:
    """Writes down each step's canaries as an event of kind `canaries`, and gives the alarm.

    The alarm: over the last `window` steps with canaries the mean reward is higher than over the `window` before, and
    the share of canaries caught is lower, by a one-sided test of two proportions at level `level`. It is an event of
    kind `alarm` and a warning, once each time that it begins.

    Args:
        ledger: where events go and, in a resumed run, come from; None: warnings alone.
        run: the run's name.
        window: steps, at least 2.
        level: of the test, in (0, 1).
    """

    def __init__(self, ledger: Ledger | None, run: str, *, window: int = 20, level: float = 0.01):
        check_count("CanaryWatch", "window", window)
        if not 0 < level < 1:
            raise ValueError(f"[CanaryWatch] level: expected a number in (0, 1), got {level!r}")
        self._ledger, self._run, self._window, self._level = ledger, run, window, level
        self._steps: list[_Step] = []
        self._alarmed = False

    def resume(self) -> None:
        """Takes up what the ledger has of the steps before."""
        events = self._ledger.events(self._run, kind="canaries") if self._ledger is not None else []
        self._steps = [_recorded(f"run {self._run!r}, canaries of {event.time}", event.text) for event in events]

    def see(self, step: int, reward: float, canaries: Mapping[str, Caught]) -> None:
        """Takes a step's; one without canaries (a step gone through again) is passed over."""
        if not canaries or math.isnan(reward):
            return
        record = {
            "step": step,
            "reward": reward,
            "kinds": {kind: vars(each) for kind, each in sorted(canaries.items())},
        }
        self._write("canaries", json.dumps(record, sort_keys=True))
        self._steps.append(_step(record))
        said = self.alarm()
        if said and not self._alarmed:
            self._write("alarm", said)
            warnings.warn(f"[canaries] {said}", stacklevel=2)
        self._alarmed = bool(said)

    def alarm(self) -> str:
        """What is wrong; empty when nothing is."""
        before, now = self._steps[-2 * self._window : -self._window], self._steps[-self._window :]
        if len(before) < self._window or fmean(s.reward for s in now) <= fmean(s.reward for s in before):
            return ""
        (caught_0, n_0), (caught_1, n_1) = _sums(before), _sums(now)
        if n_0 == 0 or n_1 == 0 or less_likely(caught_1, n_1, caught_0, n_0) > self._level:
            return ""
        return (
            f"the reward rises while the verifier catches fewer canaries: {caught_1} of {n_1} over the last "
            f"{self._window} steps, {caught_0} of {n_0} over those before"
        )

    def _write(self, kind: str, text: str) -> None:
        if self._ledger is not None:
            self._ledger.event(self._run, kind=kind, text=text)


def less_likely(successes: int, n: int, successes_before: int, n_before: int) -> float:
    """One-sided p of the hypothesis that the share is no lower than before: Fisher's exact test."""
    total, caught = n + n_before, successes + successes_before
    ways = sum(
        math.comb(caught, k) * math.comb(total - caught, n - k)
        for k in range(max(0, n - total + caught), successes + 1)
    )
    return ways / math.comb(total, n)


def _sums(steps: Sequence[_Step]) -> tuple[int, int]:
    return sum(step.caught for step in steps), sum(step.n for step in steps)


def _recorded(where: str, text: str) -> _Step:
    """A step's canaries as an event has them."""
    op = "CanaryWatch.resume"
    record = typed(op, where, parse(op, where, text), dict)
    member(op, where, record, "reward", float)
    for kind, counts in member(op, where, record, "kinds", dict).items():
        for name in ("n", "caught"):
            member(op, f"{where}: {kind}", typed(op, f"{where}: {kind}", counts, dict), name, int)
    return _step(record)


def _step(record: Mapping[str, Any]) -> _Step:
    kinds = record["kinds"].values()
    return _Step(record["reward"], sum(kind["n"] for kind in kinds), sum(kind["caught"] for kind in kinds))
