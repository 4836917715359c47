"""Stage 4: groups of skills that rest on the same ability, named by a model.

A reply puts every skill that it was shown into one group. Skills of a batch that was given up have no group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlmprobe.taxonomy.asking import Labeller, Prompt
from vlmprobe.taxonomy.topics import checked_label

PER_REQUEST = 100  # skills


def meta_skills(labels: Sequence[str], labeller: Labeller, *, groups: Sequence[str] = ()) -> list[str | None]:
    """[n] the group of each skill; None where the labeller could not say. One request for each PER_REQUEST skills, one
    after the other, so that later ones know the groups of those before.

    Args:
        labels: [n] of the skills.
        labeller: who groups.
        groups: names of groups that are there already.

    Raises:
        Unserved, BudgetSpent: as `Labeller.ask`.
    """
    found: list[str | None] = []
    for first in range(0, len(labels), PER_REQUEST):
        some = labels[first : first + PER_REQUEST]
        known = list(dict.fromkeys([*groups, *filter(None, found)]))
        prompt = Prompt(labeller.prompts.render("meta_skills", skills=some, groups=known))
        [grouped] = labeller.ask("meta-skills", [prompt], lambda _, reply: read(reply, len(some)))  # noqa: B023
        found += [None] * len(some) if grouped is None else grouped
    return found


def read(reply: Mapping[str, Any], count: int) -> list[str]:
    """[count] the group of each skill.

    Raises:
        ValueError: a number that is none or in two groups, a skill without a group, a group without a name.
    """
    found: dict[int, str] = {}
    for name, numbers in reply.items():
        group = checked_label("group", name)
        if not isinstance(numbers, list):
            raise ValueError(f"{name:.40}: expected a list of numbers, got {numbers!r:.40}")
        for number in numbers:
            known = isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= count
            if not known or number in found:
                raise ValueError(f"{name:.40}: expected numbers of 1 to {count}, each once, got {number!r:.40}")
            found[number] = group
    if missing := [str(i) for i in range(1, count + 1) if i not in found]:
        raise ValueError(f"expected every skill in a group, got none for {', '.join(missing[:10])}")
    return [found[i] for i in range(1, count + 1)]
