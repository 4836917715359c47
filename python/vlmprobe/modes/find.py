"""From judged questions to failure modes: rules found on one half of the pictures and rated on the other.

Either half is looked through, so that each failure has its part in finding one rule and in rating another. A rule found
on both halves, or two that take mostly the same failures, is one mode: the one that is worth more where it was found.
How a rule was rated has no say in that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from vlmprobe import metrics
from vlmprobe._util.checks import check_count, check_positive
from vlmprobe.modes.asked import Asked
from vlmprobe.modes.cover import Costs, Cover, Found
from vlmprobe.modes.exact import fisher, q_values
from vlmprobe.modes.halves import halves
from vlmprobe.modes.mode import Example, Mode, Rated, State, id_of
from vlmprobe.modes.naming import name_of
from vlmprobe.modes.rating import rated, state_of
from vlmprobe.modes.search import Conjunction, bits, candidates

EXAMPLES = 8
SAME = 0.5
"""Jaccard similarity of the failures that two rules take, from which on they are one mode."""
_ORDER: Sequence[State] = ("confirmed", "held", "unsure", "refuted")


@dataclass(frozen=True, kw_only=True)
class FindOptions:
    """How rules are looked for and held to be modes. The defaults are those of docs/LOG.md's trials."""

    alpha: float = 0.05
    """q-value up to which something is taken up, in (0, 1)."""
    price: float = 6.0
    """Nats that each concept of a rule must bring."""
    least_n: int = 3
    """Questions of a candidate."""
    least_failures: int = 3
    """Failures of one."""
    seed: int = 0
    """Of the halves."""

    def __post_init__(self) -> None:
        check_positive("FindOptions", "price", self.price)
        for name in ("least_n", "least_failures"):
            check_count("FindOptions", name, getattr(self, name))
        if not 0 < self.alpha < 1:
            raise ValueError(f"[FindOptions] alpha: expected a number in (0, 1), got {self.alpha}")


def find_modes(asked: Sequence[Asked], options: FindOptions = FindOptions()) -> list[Mode]:
    """The modes of some questions: those that hold first, and of these those with most failures of the run.

    Args:
        asked: with their concepts (`vlmprobe.modes.asked.asked_of`).
        options: see `FindOptions`.

    Returns:
        Rules of every state, those that were refuted among them; `vlmprobe.modes.mode.State` says which are modes.
    """
    parts = halves(asked, seed=options.seed)
    found: list[tuple[float, Mode]] = []
    failures = [each for each in asked if each.wrong]
    for half, here in enumerate(parts):
        there, rules = parts[1 - half], found_on(here, options)
        ratings = rated([each.rule for each in rules], there, there)
        for each, rating in zip(rules, ratings, strict=True):
            state = state_of(each.rule, rating, there, alpha=options.alpha)
            found.append((each.worth, _mode(each, half, rating, state, failures)))
    return ranked(_distinct(found, failures))


def found_on(asked: Sequence[Asked], options: FindOptions) -> list[Found]:
    """The rules of some questions, by themselves."""
    rows = [each.concepts for each in asked if each.valid]
    wrong = sum(1 << i for i, each in enumerate(each for each in asked if each.valid) if each.wrong)
    if not wrong:
        return []
    looked = candidates(rows, wrong, least_n=options.least_n, least_failures=options.least_failures)
    seeds = _significant(looked.failing, looked.looked_at, wrong, len(rows), options.alpha)
    counts = Counter(concept for row in rows for concept in row)
    common = {concept for concept, n in counts.items() if n >= options.least_n}
    cover = Cover(
        having=bits(rows, common), wrong=wrong, left=(1 << len(rows)) - 1,
        costs=Costs(price=options.price, least_failures=options.least_failures),
    )  # fmt: skip
    return list(cover.rules(seeds))


def ranked(modes: Sequence[Mode]) -> list[Mode]:
    """Those that hold first; of equal state the one with the largest share of all failures."""
    return sorted(modes, key=lambda mode: (_ORDER.index(mode.state), -mode.share.value, mode.id))


def _significant(
    failing: dict[Conjunction, int], looked_at: int, wrong: int, total: int, alpha: float
) -> dict[Conjunction, int]:
    """The candidates whose q-value, over all that were looked at, is at most alpha."""
    counts = [((taken & wrong).bit_count(), taken.bit_count()) for taken in failing.values()]
    p = [fisher(f, n, wrong.bit_count(), total) for f, n in counts]
    # Several candidates may take the same questions and count once, so there may be more of them than were looked at.
    q = q_values(p, looked_at=max(looked_at, len(p)))
    return {some: taken for (some, taken), each in zip(failing.items(), q, strict=True) if each <= alpha}


def _mode(each: Found, half: int, rating: Rated, state: State, failures: Sequence[Asked]) -> Mode:
    rule = each.rule
    return Mode(
        id=id_of(rule),
        name=name_of(rule),
        rule=rule,
        state=state,
        found_on=half,
        found=(each.failures, each.n),
        rated=rating,
        share=metrics.rate([rule.takes(f.concepts) for f in failures], cluster=[f.key for f in failures]),
        examples=_examples([f for f in failures if rule.takes(f.concepts)]),
    )


def _examples(failures: Sequence[Asked]) -> list[Example]:
    """Of different pictures, the first of each; other words come before the same question about another picture."""
    said: dict[str, Asked] = {}
    for each in failures:
        said.setdefault(each.text, each)
    first: dict[str, Asked] = {}
    for each in (*said.values(), *failures):
        first.setdefault(each.key, each)
    return [
        Example(key=each.key, image=each.image, question=each.text, answer=each.answer, reason=each.reason)
        for each in list(first.values())[:EXAMPLES]
    ]


def _distinct(found: Sequence[tuple[float, Mode]], failures: Sequence[Asked]) -> list[Mode]:
    """One of each kind, the one that is worth most where it was found."""
    kept: list[tuple[Mode, frozenset[int]]] = []
    for _, mode in sorted(found, key=lambda each: (-each[0], each[1].id, each[1].found_on)):
        taken = frozenset(i for i, each in enumerate(failures) if mode.rule.takes(each.concepts))
        if not any(len(taken & other) > SAME * len(taken | other) for _, other in kept):
            kept.append((mode, taken))
    return [mode for mode, _ in kept]
