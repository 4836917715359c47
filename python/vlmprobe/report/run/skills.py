"""The skills that the questions of a run need: the tree, how they combine, and who asked about which."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from vlmprobe import metrics
from vlmprobe._util.optional import installed
from vlmprobe.metrics import skills as skill_numbers
from vlmprobe.report.draw.bars import combinations, shared_skills, skills_per_question
from vlmprobe.report.results.figures import (
    Combinations,
    MethodCombinations,
    MethodShares,
    MethodSkills,
    SharedSkills,
    SkillsPerQuestion,
)
from vlmprobe.report.results.numbers import Estimate
from vlmprobe.report.run.questions import Question
from vlmprobe.report.run.rates import Rounds, percent_cell
from vlmprobe.report.run.section import Chart, Section
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, text_cell, words
from vlmprobe.taxonomy.document import Taxonomy

SHOWN = 60
"""Skills of the tree."""
ALONE = 20
"""Skills of one that asked which no other has."""
MODELS = 20
"""Skills of the matrix."""


def skills_section(questions: Sequence[Question], taxonomy: Taxonomy | None) -> Section | None:
    """The tree: meta-skills, and below each its skills; None where no skill is named."""
    valid = [each for each in questions if each.valid and each.skills]
    if not valid:
        return None
    groups = _groups(taxonomy)
    rated = {skill: _rated([each for each in valid if skill in each.skills]) for skill in _named(valid)}
    kept = sorted(rated, key=lambda skill: (-_low(rated[skill]), skill))[:SHOWN]
    rows, headings = list[list[Cell]](), dict[int, str]()
    for group in sorted({groups.get(skill, "") for skill in kept}, key=lambda name: (name == "", name)):
        members = [skill for skill in kept if groups.get(skill, "") == group]
        if group:
            of_it = [each for each in valid if any(groups.get(skill) == group for skill in each.skills)]
            headings[len(rows)] = f"{group}: {_told(of_it)}"
        elif groups:
            headings[len(rows)] = "in no group"
        rows += [_skill_row(skill, rated[skill], taxonomy) for skill in members]
    columns = [words("skill"), Column(head="questions", size=True), Column(head="judged", size=True)]
    columns += [Column(head="wrong, %"), *([Column(head="stability")] if taxonomy else [])]
    table = Table(
        id="skills", title="Skills", columns=columns, rows=rows, headings=headings, notes=_notes(taxonomy, len(rated))
    )
    return Section(id="skills", title="Skills", size=format.count(len(rated)), tables=[table])


def combinations_section(rounds: Rounds) -> Section | None:
    """How many different sets of skills the questions need, and how many skills each."""
    named = _with_skills(rounds)
    if not named:
        return None
    sets, shares = [], []
    for name, asked in named.items():
        skills, keys = [each.skills for each in asked], [each.key for each in asked]
        found = metrics.at_equal_n(
            lambda rows: float(skill_numbers.combinations(rows)), skills, n=len(skills), cluster=keys
        )
        low, high = (end if math.isfinite(end) else None for end in (found.low, found.high))
        estimate = Estimate(value=found.value, low=low, high=high, n=len(asked))
        sets.append(MethodCombinations(name=name, combinations=estimate))
        rates = skill_numbers.rates_by_count(skills, cluster=keys)
        shares.append(MethodShares(name=name, shares=[_estimate(rate) for rate in rates]))
    return Section(
        id="combinations",
        title="Combinations and complexity",
        charts=[
            Chart(
                id="combinations", title="Different sets of skills that a question needs",
                head=("asked by", "sets", "low", "high", "n"),
                svg=combinations("combinations", Combinations(methods=sets), paper=False),
                rows=[(each.name, *_ends(each.combinations)) for each in sets],
            ),
            Chart(
                id="complexity", title="How many skills a question needs",
                head=("asked by", "skills", "share", "low", "high", "n"),
                svg=skills_per_question("complexity", SkillsPerQuestion(methods=shares), paper=False),
                rows=[(each.name, i, *_ends(share)) for each in shares for i, share in enumerate(each.shares, 1)],
                caption="Skills of valid questions; four stands for four and more.",
            ),
        ],
    )  # fmt: skip


def shared_section(rounds: Rounds) -> Section | None:
    """Skills that all ways of asking found, and those of one alone; None where one asked."""
    named = _with_skills(rounds)
    if len(named) < 2:
        return None
    n = min(map(len, named.values()))
    cut = {name: [asked[i] for i in metrics.equal_rows(len(asked), n)] for name, asked in named.items()}
    sets = {name: skill_numbers.known_skills([each.skills for each in asked]) for name, asked in cut.items()}
    alone, everyones = skill_numbers.exclusive(sets), skill_numbers.shared(sets)
    methods = [
        MethodSkills(name=name, skills=len(found), shared=len(everyones), exclusive=len(alone[name]))
        for name, found in sets.items()
    ]
    chart = Chart(
        id="shared", title="Skills that all share, and skills of one alone",
        head=("asked by", "skills", "shared", "exclusive"),
        svg=shared_skills("shared", SharedSkills(methods=methods), paper=False),
        rows=[(each.name, each.skills, each.shared, each.exclusive) for each in methods],
        caption=f"Skills with more than {skill_numbers.ABOVE} valid questions, of {format.count(n)} of each.",
    )  # fmt: skip
    said = [_alone(name, sorted(skills)) for name, skills in alone.items() if skills]
    return Section(id="shared", title="Shared and exclusive skills", charts=[chart], notes=said)


def _alone(name: str, skills: Sequence[str]) -> str:
    more = f" and {len(skills) - ALONE} more" if len(skills) > ALONE else ""
    return f"{name} alone: {', '.join(skills[:ALONE])}{more}."


def models_section(questions: Sequence[Question]) -> Section | None:
    """How often each skill fails with each answerer; None where there is one."""
    valid = [each for each in questions if each.valid and each.skills and each.answerer and each.wrong is not None]
    names = list(dict.fromkeys(each.answerer for each in valid))
    if len(names) < 2 or not installed("scipy"):
        return None
    found = metrics.across_models(
        [each.answerer for each in valid], [each.skills for each in valid], [each.wrong for each in valid],
        cluster=[each.key for each in valid],
    )  # fmt: skip
    found = sorted(found, key=lambda each: (each.q_universal, each.skill))[:MODELS]
    columns = [words("skill"), *(Column(head="wrong, %", group=name) for name in names), words("hard for")]
    rows = [
        [Cell(text=each.skill, finds="skill"), *(percent_cell(each.rates[name]) for name in names),
         text_cell("all of them" if each.kind == "universal" else ", ".join(each.hard_for) or None)]
        for each in found
    ]  # fmt: skip
    notes = ["Hard: its questions fail more often than the model’s other questions, q below .05 over all skills."]
    table = Table(id="models-by-skill", title="Skills across answerers", columns=columns, rows=rows, notes=notes)
    return Section(id="across", title="Across answerers", tables=[table]) if rows else None


def _named(valid: Sequence[Question]) -> list[str]:
    return sorted({skill for each in valid for skill in each.skills})


def _with_skills(rounds: Rounds) -> dict[str, list[Question]]:
    """The valid questions whose skills are named, of those that asked any."""
    found = {name: [each for each in asked if each.valid and each.skills] for name, asked in rounds.items()}
    return {name: asked for name, asked in found.items() if asked}


def _groups(taxonomy: Taxonomy | None) -> Mapping[str, str]:
    """Skill -> its meta-skill."""
    if taxonomy is None:
        return {}
    labels = {each.id: each.label for each in taxonomy.meta_skills}
    return {each.label: labels[each.meta_skill] for each in taxonomy.live if each.meta_skill}


Rated = tuple[int, metrics.Rate]
"""Questions, and the failure rate of those that were judged."""


def _rated(asked: Sequence[Question]) -> Rated:
    return len(asked), metrics.rate([each.wrong for each in asked], cluster=[each.key for each in asked])


def _low(rated: Rated) -> float:
    return rated[1].low if rated[1].n else -1.0


def _told(asked: Sequence[Question]) -> str:
    count, rate = _rated(asked)
    if not rate.n:
        return f"{format.count(count)} questions, none judged"
    ends = format.percent_interval((rate.low, rate.high), ", ")
    return f"{format.count(count)} questions, {format.percent(rate.value)} % wrong [{ends}; n {format.count(rate.n)}]"


def _skill_row(skill: str, rated: Rated, taxonomy: Taxonomy | None) -> list[Cell]:
    count, rate = rated
    known = {each.label: each.numbers.get("stability") for each in taxonomy.live} if taxonomy else {}
    stable = known.get(skill)
    cells = [
        Cell(text=skill, finds="skill"), text_cell(format.count(count)), text_cell(format.count(rate.n)),
        percent_cell(rate),
    ]  # fmt: skip
    return [*cells, text_cell(None if stable is None else format.decimal(stable, 2))] if taxonomy else cells


def _notes(taxonomy: Taxonomy | None, total: int) -> list[str]:
    found = ["Of valid questions; one may need several skills. Those come first whose failure rate is surely high."]
    if total > SHOWN:
        found.append(f"These are {SHOWN} of {total} skills.")
    if taxonomy is None:
        return [*found, "The skills are those that the source of the questions names."]
    found.append("Stability: how much of a skill comes back when other pictures are drawn.")
    ways = taxonomy.numbers.get("clusterings", {})
    if ways:
        found.append(
            "Skills under two clusterings: " + "; ".join(f"{how} {each['skills']}" for how, each in ways.items()) + "."
        )
    return found


def _estimate(rate: metrics.Rate) -> Estimate:
    return Estimate(value=rate.value, low=rate.low, high=rate.high, n=rate.n)


def _ends(estimate: Estimate) -> tuple[object, ...]:
    return estimate.value, estimate.low, estimate.high, estimate.n
