"""Two answerers on the same questions: what one fixed, what it broke, and what both get wrong, mode by mode.

The modes are those of the first run. A rule that was found on one half of the pictures because the first answerer
failed there would flatter the second one on that half. So a mode's counts are of all pictures, and its difference, with
interval and test, is of the half that had no part in finding it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe import metrics
from vlmprobe._util.json import plain
from vlmprobe.ledger import Ledger
from vlmprobe.ledger.questions import is_correct
from vlmprobe.modes.asked import NOTHING, Asked, Besides, asked_of
from vlmprobe.modes.exact import mcnemar, q_values
from vlmprobe.modes.halves import half_of
from vlmprobe.modes.mode import Mode

Pair = tuple[str, str]
LISTED = 200
"""Questions that a comparison names of each kind."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """How the same questions were answered by two answerers."""

    fixed: int
    """Wrong by the first, right by the second."""
    regressed: int
    """Right by the first, wrong by the second."""
    both_wrong: int
    both_right: int
    unscored: int
    """Judged for the first, and without an answer or a verdict for the second; they enter nothing else."""
    difference: metrics.Difference
    """Failure rate of the second less that of the first, paired by picture; below 0 where the second is better."""
    p: float
    """Of no difference between the answerers, over questions: McNemar's exact test, two-sided."""

    @property
    def n(self) -> int:
        """Questions with both verdicts."""
        return self.fixed + self.regressed + self.both_wrong + self.both_right


@dataclass(frozen=True, kw_only=True)
class ComparedMode:
    """A failure mode of the first answerer, as both answer its questions."""

    id: str
    name: str
    counted: Counted
    q: float
    """Of `counted.p` over the modes, after Benjamini and Hochberg."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What became of the questions of one answerer with another."""

    whole: Counted
    modes: Sequence[ComparedMode]
    beside: Counted
    """Questions that no mode takes."""
    lists: Mapping[str, Sequence[Asked]]
    """`fixed`, `regressed` and `both_wrong` -> the first `LISTED` questions, with the second's answer."""
    left_out: int
    """Questions of the first that were not asked of the second."""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = plain(
            {
                "whole": _counted(self.whole),
                "modes": [{"id": m.id, "name": m.name, "q": m.q, **_counted(m.counted)} for m in self.modes],
                "beside": _counted(self.beside),
                "left_out": self.left_out,
                "questions": {
                    kind: [{"picture": one.key, "question": one.text, "answer": one.answer} for one in some]
                    for kind, some in self.lists.items()
                },
            }
        )
        return found


def compare(first: Ledger, second: Ledger, runs: tuple[Sequence[str], Sequence[str]], modes: Sequence[Mode], *,
            seed: int | None = 0, besides: Besides = NOTHING) -> Comparison:  # fmt: skip
    """Two ledgers with verdicts on the same pairs of picture and question.

    Args:
        first, second: ledgers; pictures are the same where name and pixels are.
        runs: of each, those whose questions count; a pair that was asked several times is what it was first.
        modes: of the first.
        seed: of the halves of the pictures in which the modes were found; None where they were found on other
            pictures, so that all of these rate them.
        besides: what is said of the first's questions and pictures besides, as when its modes were found.

    Raises:
        ValueError: no pair has verdicts in both.
    """
    mine = [each for each in asked_of(first, runs[0], besides=besides) if each.valid]
    theirs = {each.pair: each for each in asked_of(second, runs[1]) if each.valid}
    same = _same_pictures(first, second, runs)
    asked = {each.pair for each in mine if each.key in same}
    silent = (_unjudged(second, runs[1]) - theirs.keys()) & asked
    both = [each for each in mine if each.pair in asked and each.pair in theirs]
    if not both:
        raise ValueError(
            "[compare] RUN_B: expected verdicts on questions of RUN_A about the same pictures, got none; "
            "--answerer asks another answerer RUN_A's questions"
        )
    rows = _Rows(mine, theirs, both, silent)
    found = _by_mode(rows, modes, seed)
    q = q_values([each.p for _, each in found])
    return Comparison(
        whole=rows.counted(mine),
        modes=[
            ComparedMode(id=mode.id, name=mode.name, counted=each, q=one)
            for (mode, each), one in zip(found, q, strict=True)
        ],
        beside=rows.counted([each for each in mine if not any(mode.rule.takes(each.concepts) for mode in modes)]),
        lists=rows.lists(),
        left_out=len(mine) - len(both) - len(silent),
    )


class _Rows:
    """The questions of the first that the second answered or left unknown."""

    def __init__(
        self, mine: Sequence[Asked], theirs: Mapping[Pair, Asked], both: Sequence[Asked], silent: set[Pair]
    ) -> None:
        self._mine, self._theirs, self._silent = mine, theirs, silent
        self._both = {each.pair for each in both}
        self._order = both

    def counted(self, some: Iterable[Asked], rated: Iterable[Asked] | None = None) -> Counted:
        """Counts of `some`, with the difference and the test of `rated`, by default the same."""
        some = list(some)
        counts = self._counts(some)
        tested = some if rated is None else list(rated)
        of_test = counts if rated is None else self._counts(tested)
        pairs = [(self._theirs[each.pair].wrong, each.wrong, each.key) for each in tested if each.pair in self._both]
        second, first, pictures = zip(*pairs, strict=True) if pairs else ((), (), ())
        return Counted(
            **{name: counts[name] for name in ("fixed", "regressed", "both_wrong", "both_right")},
            unscored=sum(each.pair in self._silent for each in some),
            difference=metrics.paired_difference(second, first, cluster_a=pictures, cluster_b=pictures),
            p=mcnemar(of_test["fixed"], of_test["regressed"]),
        )

    def lists(self) -> dict[str, list[Asked]]:
        found: dict[str, list[Asked]] = {"fixed": [], "regressed": [], "both_wrong": []}
        for each in self._order:
            kind = self._kind(each)
            if kind in found and len(found[kind]) < LISTED:
                found[kind].append(self._theirs[each.pair])
        return found

    def _counts(self, some: Iterable[Asked]) -> dict[str, int]:
        found = dict.fromkeys(("fixed", "regressed", "both_wrong", "both_right"), 0)
        for each in some:
            if each.pair in self._both:
                found[self._kind(each)] += 1
        return found

    def _kind(self, each: Asked) -> str:
        wrong = self._theirs[each.pair].wrong
        if each.wrong:
            return "both_wrong" if wrong else "fixed"
        return "regressed" if wrong else "both_right"

    def taken(self, mode: Mode) -> list[Asked]:
        """The mode's questions."""
        known = [*self._order, *(each for each in self._mine if each.pair in self._silent)]
        return [each for each in known if mode.rule.takes(each.concepts)]


def _by_mode(rows: _Rows, modes: Sequence[Mode], seed: int | None) -> list[tuple[Mode, Counted]]:
    found = []
    for mode in modes:
        some = rows.taken(mode)
        other = [each for each in some if seed is None or half_of(each.key, seed=seed) != mode.found_on]
        found.append((mode, rows.counted(some, other)))
    return found


def _same_pictures(first: Ledger, second: Ledger, runs: tuple[Sequence[str], Sequence[str]]) -> set[str]:
    """Names of pictures that have the same pixels in both."""
    one, other = _pixels(first, runs[0]), _pixels(second, runs[1])
    return {key for key, sha256 in one.items() if other.get(key) == sha256}


def _pixels(ledger: Ledger, runs: Iterable[str]) -> dict[str, str]:
    return {image.key: image.sha256 for run in runs for step in ledger.each_step(run) for image in step.images}


def _unjudged(ledger: Ledger, runs: Iterable[str]) -> set[Pair]:
    """Pairs that were put before the answerer, at least once without a verdict on its answer."""
    found = set()
    for run in runs:
        for step in ledger.each_step(run):
            image_of = {sequence.sequence: sequence.image for sequence in step.sequences}
            key_of = {image.id: image.key for image in step.images}
            for each in step.questions:
                if each.answer is not None and is_correct(each) is None:
                    found.add((key_of[image_of[each.sequence]], each.text))
    return found


def _counted(counted: Counted) -> dict[str, Any]:
    found = {name: getattr(counted, name) for name in ("n", "fixed", "regressed", "both_wrong", "both_right")}
    difference = counted.difference
    return {
        **found,
        "unscored": counted.unscored,
        "difference": {
            "value": difference.value, "interval": [difference.low, difference.high], "p": difference.p,
            "n": difference.n[0], "pictures": difference.clusters,
        },
        "mcnemar_p": counted.p,
    }  # fmt: skip
