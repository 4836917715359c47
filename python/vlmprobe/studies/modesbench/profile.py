"""A list of weaknesses against the planted ones, over the instances that test each, as EvalTree defines it.

    A(w)        the instances that test w, here with their weights: |A| is a sum of weights
    recall      mean over planted w* of  |A(w*) and the union of A(w) over the list|  /  |A(w*)|
    precision   mean over listed w of    |A(w) and the union of A(w*) over the planted|  /  |A(w)|
    F1          their harmonic mean

A list is cut to its first 1, 2, ..., 20 weaknesses; one that is shorter stays as it is. A weakness that no instance
tests has precision 0.

Source: EvalTree, arXiv 2503.08893.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

SIZES = range(1, 21)


@dataclass(frozen=True)
class Fit:
    """How well the first weaknesses of a list fit the planted ones."""

    size: int
    recall: float
    precision: float

    @property
    def f1(self) -> float:
        """0 where both are 0."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0


def fits(listed: Sequence[Collection[int]], planted: Sequence[Collection[int]], weights: Sequence[int]) -> list[Fit]:
    """The fit at each of `SIZES`.

    Args:
        listed: the numbers of the instances that test each weakness of the list, the first one first.
        planted: the same of each planted weakness; those that no instance tests are left out.
        weights: of the instances.

    Raises:
        ValueError: no planted weakness that an instance tests.
    """
    tested = [set(each) for each in planted if each]
    if not tested:
        raise ValueError("[fits] planted: expected at least one weakness that an instance tests, got none")
    union = set().union(*tested)

    def size(some: Collection[int]) -> int:
        return sum(weights[i] for i in some)

    precise = [size(union.intersection(each)) / size(each) if each else 0.0 for each in listed]
    found, covered = [], set[int]()
    for count in SIZES:
        if count <= len(listed):
            covered |= set(listed[count - 1])
        taken = precise[:count]
        recall = sum(size(each & covered) / size(each) for each in tested) / len(tested)
        found.append(Fit(count, recall, sum(taken) / len(taken) if taken else 0.0))
    return found
