"""Labels of any kind as numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


def codes(labels: Iterable[Hashable]) -> list[int]:
    """Labels of any kind as numbers, in order of first appearance."""
    codes: dict[Hashable, int] = {}
    return [codes.setdefault(label, len(codes)) for label in labels]
