"""A rule: a conjunction of concepts, each of which may be one of several. It takes the questions that have all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from vlmprobe.modes.concepts import KINDS, Concept, Kind

MOST = 3
"""Concepts of a rule."""


@dataclass(frozen=True)
class Rule:
    """A conjunction: of each part, one of its concepts at least."""

    parts: tuple[tuple[Concept, ...], ...]
    """Each of concepts of one kind."""

    @classmethod
    def of(cls, *parts: Iterable[Concept]) -> Rule:
        """The rule of some parts, in an order of its own: equal rules are equal.

        Raises:
            ValueError: no part, more than `MOST`, or one that has not concepts of one kind.
        """
        found = tuple(sorted({tuple(sorted(set(part))) for part in parts}))
        if not 1 <= len(found) <= MOST or not all(len({concept.kind for concept in part}) == 1 for part in found):
            raise ValueError(f"[Rule] parts: expected 1 to {MOST} with concepts of one kind each, got {found!r:.120}")
        return cls(found)

    @property
    def concepts(self) -> frozenset[Concept]:
        """All that it speaks of."""
        return frozenset(concept for part in self.parts for concept in part)

    def takes(self, concepts: frozenset[Concept]) -> bool:
        """Whether a question with these concepts is among its own."""
        return all(any(concept in concepts for concept in part) for part in self.parts)

    def only(self, *kinds: Kind) -> Rule | None:
        """The rule with its parts of some kinds alone; None where there are none."""
        parts = [part for part in self.parts if part[0].kind in kinds]
        return Rule.of(*parts) if parts else None

    def plain(self) -> list[list[dict[str, str]]]:
        """For JSON: a list of parts, each a list of concepts with `kind` and `value`."""
        return [[concept._asdict() for concept in part] for part in self.parts]

    @classmethod
    def read(cls, plain: Any) -> Rule:
        """From what `plain` gives.

        Raises:
            ValueError: something else.
        """
        try:
            return cls.of(*([_concept(each) for each in part] for part in plain))
        except (TypeError, KeyError) as error:
            raise ValueError(f"[Rule] parts: expected lists of concepts, got {plain!r:.120}") from error


def _concept(plain: Mapping[str, str]) -> Concept:
    if plain["kind"] not in KINDS:
        raise ValueError(f"[Rule] kind: expected {', '.join(KINDS)}, got {plain['kind']!r:.60}")
    return Concept(plain["kind"], plain["value"])
