"""The skills of a run's questions as a table of its page, where a taxonomy is there."""

from __future__ import annotations

from vlmprobe.report.results.numbers import Interval
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Column, Table, estimate_cell, text_cell, words
from vlmprobe.taxonomy.document import Skill, Taxonomy
from vlmprobe.taxonomy.table import by_failures

SHOWN = 40


def skill_table(taxonomy: Taxonomy) -> Table:
    """The skills that some question needs, those first whose failure rate is surely high.

    Args:
        taxonomy: with its numbers (`vlmprobe.taxonomy.figures.with_numbers`).
    """
    skills = by_failures(taxonomy)
    groups = {each.id: each.label for each in taxonomy.meta_skills}
    columns = [words("skill"), words("group"), Column(head="questions"), Column(head="judged", size=True)]
    columns += [Column(head="wrong, %"), Column(head="stability")]
    ways = taxonomy.numbers.get("clusterings", {})
    notes = [
        "A question may need several skills. Stability: how much of a skill comes back when other pictures are drawn.",
        "Skills under two clusterings: " + "; ".join(f"{how} {each['skills']}" for how, each in ways.items()) + ".",
    ]
    if len(skills) > SHOWN:
        notes.append(f"These are {SHOWN} of {len(skills)} skills.")
    rows = [_row(each, groups.get(each.meta_skill, format.DASH)) for each in skills[:SHOWN]]
    return Table(id="skills", title="Skills", columns=columns, rows=rows, notes=notes)


def _row(skill: Skill, group: str) -> list:
    numbers, stable = skill.numbers, skill.numbers.get("stability")
    failures = numbers["failures"]
    low, high = failures["interval"]
    rate = Interval(value=failures["value"], low=low, high=high)
    return [
        text_cell(skill.label),
        text_cell(group),
        text_cell(format.count(sum(numbers["questions"].values()))),
        text_cell(format.count(failures["n"])),
        estimate_cell(rate, percent=True) if failures["n"] else text_cell(format.DASH),
        text_cell(format.DASH if stable is None else format.decimal(stable, 2)),
    ]
