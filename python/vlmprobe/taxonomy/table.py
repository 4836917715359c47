"""A taxonomy as lines for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlmprobe.taxonomy.document import Skill, Taxonomy

SHOWN = 40  # skills


def lines(taxonomy: Taxonomy, asked: Mapping[str, Any]) -> list[str]:
    """The worst skill in words, what was found in numbers, and the skills that some question needs, those first whose
    failure rate is surely high.

    Args:
        taxonomy: with its numbers (`figures.with_numbers`).
        asked: stage -> requests, made again, skipped.
    """
    skills = by_failures(taxonomy)
    groups = {each.id: each.label for each in taxonomy.meta_skills}
    found = [
        _worst(skills),
        *_head(taxonomy),
        f"{'skill':<34} {'group':<20} {'questions':>9}  {'failure rate':<26} {'stability':>9}",
    ]
    for each in skills[:SHOWN]:
        stable = each.numbers.get("stability")
        found.append(
            f"{each.label:<34.34} {groups.get(each.meta_skill, '-'):<20.20} {_count(each):>9,}  "
            f"{_rate(each.numbers.get('failures')):<26} {'-' if stable is None else f'{stable:.2f}':>9}"
        )
    if len(skills) > SHOWN:
        found.append(f"and {len(skills) - SHOWN} more skills")
    return found + _skipped(asked)


def by_failures(taxonomy: Taxonomy) -> list[Skill]:
    """The skills that some question needs, by the lower ends of the intervals of their failure rates."""
    return sorted(filter(_count, taxonomy.live), key=_order)


def _worst(skills: Sequence[Skill]) -> str:
    """In words, the skill that surely fails most."""
    failures = skills[0].numbers["failures"] if skills else {}
    if not failures or not failures["n"] or not failures["value"]:
        return "No skill is known to fail."
    low, high = (f"{100 * end:.0f}" for end in failures["interval"])
    return (
        f"The skill that surely fails most is {skills[0].label!r}: of {failures['n']:,} judged questions that need it, "
        f"{100 * failures['value']:.0f} % [{low}, {high}] were answered wrongly."
    )


def _head(taxonomy: Taxonomy) -> list[str]:
    numbers = taxonomy.numbers
    found = []
    for name, each in numbers["methods"].items():
        skills = f"{each['skills_at_all']} skills, {_interval(each['skills'], 0)} with more than 20 questions"
        rest = f"{_interval(each['coverage'], 2)} skills a question; {each['other']:,} need something other"
        missing = f"; {each['without_primitives']:,} were not looked at" if each["without_primitives"] else ""
        found.append(f"{name}: {each['questions']:,} valid questions; {skills}; {rest}{missing}")
    ways = [
        f"{how}: {each['clusters']} clusters, {each['skills']} skills" for how, each in numbers["clusterings"].items()
    ]
    return [*found, f"under two clusterings: {'; '.join(ways)}"]


def _skipped(asked: Mapping[str, Any]) -> list[str]:
    given_up = [f"{stage} {each['skipped']}" for stage, each in asked.items() if each["skipped"]]
    return [f"given up after a second reply of no use: {', '.join(given_up)}"] if given_up else []


def _order(skill: Skill) -> tuple[float, str]:
    failures = skill.numbers.get("failures")
    return (-failures["interval"][0] if failures and failures["n"] else 1.0, skill.label)


def _count(skill: Skill) -> int:
    counts: Mapping[str, int] = skill.numbers.get("questions", {})
    return sum(counts.values())


def _rate(failures: Mapping[str, Any] | None) -> str:
    if not failures or not failures["n"]:
        return "unknown"
    low, high = failures["interval"]
    return f"{100 * failures['value']:.0f} % [{100 * low:.0f}, {100 * high:.0f}] n={failures['n']:,}"


def _interval(number: Mapping[str, Any], digits: int) -> str:
    ends: Sequence[float] = number["interval"]
    return f"{number['value']:.{digits}f} [{', '.join(f'{end:.{digits}f}' for end in ends)}]"
