"""The paper's claims, each held against our numbers: its last section, in that order.

A claim is a list of comparisons, each a difference that should be above 0. It *holds* where the interval of each is
above 0. It *does not hold* where one is below 0, by an interval of confidence 1 - 0.05/m for m comparisons, so that a
claim which is right fails with a probability of 5 % at most (Bonferroni). Else it is *undecided*. Questioners that were
trained once each show a direction only: with one seed a claim is *pointed to* or *against*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vlmprobe.studies.comparisons import (
    Above,
    Comparison,
    Difference,
    ExclusiveSkills,
    Flat,
    Rise,
    RisesMore,
)
from vlmprobe.studies.plan import ANSWERERS, arm_of
from vlmprobe.studies.tables import PRINTED, SIX, TABLE_3, TABLE_4, Outcomes, published

LEVEL = 0.05
HOLDS, FAILS, UNDECIDED, NOT_MEASURED = "holds", "does not hold", "undecided", "not measured"
ONE_SEED = {HOLDS: "points to it", FAILS: "points against it"}
"""What a verdict of one seed amounts to."""


@dataclass(frozen=True)
class Claim:
    """What the paper says, and how it is held against our numbers."""

    id: str
    text: str
    table: int | None
    """Whose numbers it is about; None: a figure's."""
    comparisons: tuple[Comparison, ...]
    where: str = ""
    """For a figure."""
    figure: str = "not published"
    """What the paper prints for it."""

    @property
    def arms(self) -> set[str]:
        """The arms that it needs."""
        return {name for comparison in self.comparisons for name in comparison.arms}

    @property
    def paper(self) -> str:
        """The paper's own numbers."""
        if self.table is None:
            return self.figure
        rows = published()[f"table-{self.table}"]
        named: dict[str, dict[str, None]] = {}
        for comparison in self.comparisons:
            if isinstance(comparison, Above):
                named.setdefault(comparison.key, {}).update(dict.fromkeys(comparison.arms))
        return "; ".join(
            f"{Above.TITLES[key]}: " + ", ".join(f"{name} {rows[name][PRINTED.get(key, key)]}" for name in names)
            for key, names in named.items()
        )


def claims(outcomes: Outcomes) -> list[dict[str, Any]]:
    """The claims whose arms are there, with the paper's k and L where it is about these, as plain values."""
    found = []
    for claim in CLAIMS:
        if claim.arms <= outcomes.keys() and as_printed(claim, outcomes):
            each = [(comparison, comparison.seeds(outcomes)) for comparison in claim.comparisons]
            differences = [comparison.joined(seeds) for comparison, seeds in each]
            strict = 1 - LEVEL / len(each)
            corrected = [comparison.joined(seeds, confidence=strict) for comparison, seeds in each]
            found.append(
                {
                    "id": claim.id,
                    "claim": claim.text,
                    "where": claim.where or f"table {claim.table}",
                    "paper": claim.paper,
                    "ours": "; ".join(map(str, differences)),
                    "verdict": verdict(differences, corrected, seeds=len(each[0][1])),
                }
            )
    return found


def as_printed(claim: Claim, outcomes: Outcomes) -> bool:
    """Whether the arms have the k or L that the paper's table has."""
    rows = {3: TABLE_3, 4: TABLE_4}.get(claim.table or 0, {})
    field = "k" if claim.table == 3 else "prefix_length"
    return all(getattr(outcomes[name][0].arm, field) == value for value, name in rows.items() if name in claim.arms)


def verdict(differences: Sequence[Difference], corrected: Sequence[Difference], *, seeds: int) -> str:
    """holds, does not hold, undecided, or not measured where a number is not known.

    Args:
        differences, corrected: with intervals of 95 %, and of 1 - 0.05/m.
        seeds: that they are over.
    """
    if any(math.isnan(each.value) for each in differences):
        return NOT_MEASURED
    found = UNDECIDED
    if all(each.low > 0 for each in differences):
        found = HOLDS
    elif any(each.high < 0 for each in corrected):
        found = FAILS
    return ONE_SEED.get(found, found) if seeds == 1 else found


def ordered(key: str, *names: str) -> tuple[Above, ...]:
    """Each above the next."""
    return tuple(Above(key, more, less) for more, less in pairwise(names))


def highest(key: str, name: str, others: Sequence[str]) -> tuple[Above, ...]:
    """One above all others."""
    return tuple(Above(key, name, other) for other in others if other != name)


def lowest(key: str, name: str, others: Sequence[str]) -> tuple[Above, ...]:
    """One below all others."""
    return tuple(Above(key, other, name) for other in others if other != name)


def by_answerer(method: str, questioner: str) -> tuple[str, ...]:
    """The arms of a method and questioner, the smallest answerer first."""
    return tuple(arm_of(method, questioner, answerer) for answerer in ANSWERERS)


CLAIMS = (
    Claim("no-penalty", "Without the penalty QVR falls", 2, ordered("qvr", "RL", "RL no penalty")),
    Claim(
        "no-lexical",
        "Without the lexical term LD collapses and FDR rises",
        2,
        ordered("ld", "RL", "RL no lexical") + ordered("fdr", "RL no lexical", "RL"),
    ),
    Claim("semantic", "The semantic term raises SD", 2, ordered("sd", "RL no lexical", "RL penalty")),
    Claim("prefix-1", "L = 1 collapses LD", 4, ordered("ld", "RL", "RL L=1")),
    Claim(
        "prefix-2",
        "L = 2 is best, in LD and in skills",
        4,
        highest("ld", "RL", ("RL L=1", "RL L=3", "RL L=4")) + highest("skills", "RL", ("RL L=1", "RL L=3", "RL L=4")),
    ),
    Claim("k-skills", "Larger k, more skills", 3, ordered("skills_once", "RL k=4", "RL", "RL k=1")),
    Claim("k-fdr", "Larger k, lower FDR", 3, ordered("fdr", "RL k=1", "RL", "RL k=4")),
    Claim(
        "rl-fdr",
        "RL above Expert Iteration above zero-shot in FDR",
        1,
        ordered("fdr", "RL", "Expert Iteration", "zero-shot"),
    ),
    Claim("rl-sft", "RL+SFT has the highest FDR", 1, highest("fdr", "RL+SFT", SIX)),
    Claim("conme", "ConMe has the lowest QVR", 1, lowest("qvr", "ConMe", SIX)),
    Claim("rl-skills", "RL has the most skills", 1, highest("skills", "RL", SIX)),
    Claim("rl-coverage", "RL has the highest skill coverage", 1, highest("coverage", "RL", SIX)),
    Claim(
        "exclusive",
        "RL has more exclusive skills than SFT",
        None,
        (ExclusiveSkills("RL", "SFT"),),
        where="figure 4",
        figure="RL 36, SFT 17",
    ),
    Claim(
        "large-questioner",
        "The larger questioner raises FDR on the largest answerer",
        5,
        ordered("fdr", "RL large on large", "RL small on large"),
    ),
    Claim(
        "curves",
        "FDR over cumulative questions: flat for static methods, rising for Expert Iteration and more so for RL",
        None,
        (
            *(Flat(name) for name in ("zero-shot", "SFT", "ConMe")),
            Rise("Expert Iteration"),
            Rise("RL"),
            RisesMore("RL", "Expert Iteration"),
        ),
        where="appendix",
    ),
    Claim(
        "larger-answerer",
        "A larger answerer lowers FDR for the small questioner with RL",
        5,
        ordered("fdr", *by_answerer("RL", "small")),
    ),
    Claim(
        "larger-answerer-iterated",
        "A larger answerer lowers FDR for Expert Iteration",
        5,
        ordered("fdr", *by_answerer("Expert Iteration", "small"))
        + ordered("fdr", *by_answerer("Expert Iteration", "large")),
    ),
    Claim(
        "larger-answerer-not",
        "It does not for the large questioner with RL: the middle answerer fails more than the small one",
        5,
        ordered("fdr", "RL large on medium", "RL large on small"),
    ),
)
