"""A rule in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe.modes.concepts import KINDS, Concept
from vlmprobe.modes.rules import Rule


def name_of(rule: Rule) -> str:
    """What questions a rule takes.

    >>> name_of(Rule.of([Concept("word", "left"), Concept("word", "leftmost")], [Concept("answer", "green")]))
    'questions with “left” or “leftmost” whose right answer has “green”'
    """
    parts = {kind: [_any(part) for part in rule.parts if part[0].kind == kind] for kind in KINDS}
    said = "questions"
    if parts["word"]:
        said += f" with {_and(parts['word'])}"
    if parts["label"]:
        said += f" about {_and(parts['label'])}"
    if parts["picture"]:
        said += f" on pictures with {_and(parts['picture'])}"
    return said + (f" whose right answer has {_and(parts['answer'])}" if parts["answer"] else "")


def _any(part: Sequence[Concept]) -> str:
    return " or ".join(f"“{concept.value}”" for concept in part)


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
