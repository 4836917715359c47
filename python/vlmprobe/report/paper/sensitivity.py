"""Judge sensitivity in sentences and small tables: what changes when another model judges or another reward is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlmprobe.report.results.numbers import NO_DIFFERENCE, UNKNOWN, Difference, Estimate
from vlmprobe.report.results.sensitivity import JudgeAgreement, JudgedRates, JudgeSensitivity, Pair, Rewards, SkillFlip
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, estimate_cell, text_cell, words


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The section on judge sensitivity."""

    sentences: Sequence[str]
    tables: Sequence[Table]


def sensitivity(found: JudgeSensitivity) -> Sensitivity:
    """The section; what the results do not have is left out."""
    rewards = found.rewards
    sentences = [
        f"The same questions and answers were judged by {_list(found.judges)}.",
        *_ranking(found.ranking, "FDR"),
        *_pairs(found.pairs, "judge"),
        *_skills(found),
        *_ranking(rewards.ranking, "mean reward"),
        *_pairs(rewards.pairs, "reward"),
    ]
    tables = [
        _rate_table(found.rates, found.judges),
        _pair_table(found.pairs, found.judges, "judge", "FDR difference, points", percent=True),
        _skill_table(found.skills, found.judges),
        _reward_table(rewards),
        _pair_table(rewards.pairs, rewards.names, "reward", "reward difference", percent=False),
        _agreement_table(found.agreement),
    ]
    return Sensitivity(sentences=sentences, tables=[table for table in tables if table.rows])


def _ranking(ranking: Mapping[str, Sequence[str]], what: str) -> list[str]:
    """One sentence when all rankings agree, else one for each."""
    if not ranking:
        return []
    orders = {name: ", ".join(methods) for name, methods in ranking.items()}
    if len(set(orders.values())) == 1:
        return [f"Ranked by {what}, highest first, all agree: {next(iter(orders.values()))}."]
    told = "; ".join(f"{name}: {order}" for name, order in orders.items())
    return [f"The ranking by {what} changes. Highest first, {told}."]


def _pairs(pairs: Sequence[Pair], view: str) -> list[str]:
    if not pairs:
        return []
    flips = [pair.flips for pair in pairs]
    order, significance = flips.count("order"), flips.count("significance")
    total = f"{len(pairs)} pair{'s' if len(pairs) != 1 else ''} of methods"
    if not order + significance:
        return [f"Of {total} none changes its order or its significance with the {view}."]
    return [
        f"Of {total} {_changes(order)} order with the {view}, and {_changes(significance)} significance while the "
        "order stays."
    ]


def _changes(count: int) -> str:
    return f"{count} changes its" if count == 1 else f"{count} change their"


def _skills(found: JudgeSensitivity) -> list[str]:
    total, differ, left = found.n_skills, len(found.skills), found.n_skills_left_out
    if not total:
        return []
    compared = f"Of {total} pair{'s' if total != 1 else ''} of a method and a skill that were compared"
    too_few = f"; {left} more had too few questions under one of the judges" if left else ""
    return [f"{compared}, {differ} {'is' if differ == 1 else 'are'} hard for one judge only{too_few}."]


def _rate_table(rates: Sequence[JudgedRates], judges: Sequence[str]) -> Table:
    """A row per method, QVR and FDR of each judge."""
    qvr, fdr = ({(rate.method, rate.judge): getattr(rate, key) for rate in rates} for key in ("qvr", "fdr"))
    rows = [
        [text_cell(method)] + [_share(of.get((method, judge), UNKNOWN)) for of in (qvr, fdr) for judge in judges]
        for method in dict.fromkeys(rate.method for rate in rates)
    ]
    heads = [f"{name} %, {judge}" for name in ("QVR", "FDR") for judge in judges]
    columns = [words("method"), *(Column(head=head) for head in heads)]
    note = "FDR: of the questions that the judge and the run's own verifier hold valid; only those were answered."
    return Table(id="judge-rates", title="Rates by judge", columns=columns, rows=rows, notes=[note])


def _pair_table(pairs: Sequence[Pair], views: Sequence[str], view: str, what: str, *, percent: bool) -> Table:
    """The pairs that flip: the difference with its p-value in each view."""
    rows = [
        [text_cell(" − ".join(pair.methods))]
        + [_difference(pair.differences.get(each, NO_DIFFERENCE), percent) for each in views]
        + [text_cell(pair.flips)]
        for pair in pairs
        if pair.flips
    ]
    columns = [words("pair"), *(Column(head=f"{what}, {each}") for each in views), words("changes")]
    return Table(id=f"{view}-pairs", title=f"Pairs of methods that change with the {view}", columns=columns, rows=rows)


def _skill_table(skills: Sequence[SkillFlip], judges: Sequence[str]) -> Table:
    rows = [
        [text_cell(row.method), text_cell(row.skill)]
        + [_share(row.rates.get(judge, UNKNOWN)) for judge in judges]
        + [text_cell(_list([judge for judge in judges if row.hard.get(judge)]))]
        for row in skills
    ]
    heads = [f"FDR %, {judge}" for judge in judges]
    columns = [words("method"), words("skill"), *(Column(head=head) for head in heads), words("hard for")]
    return Table(id="judge-skills", title="Skills that are hard for one judge only", columns=columns, rows=rows)


def _reward_table(rewards: Rewards) -> Table:
    """A row per method, the mean of each reward."""
    means = {(mean.method, mean.reward): mean for mean in rewards.means}
    rows = [
        [text_cell(method)] + [estimate_cell(means.get((method, name), UNKNOWN), digits=3) for name in rewards.names]
        for method in dict.fromkeys(mean.method for mean in rewards.means)
    ]
    columns = [words("method"), *(Column(head=name) for name in rewards.names)]
    return Table(id="rewards", title="Mean reward of the same questions", columns=columns, rows=rows)


def _agreement_table(agreement: Sequence[JudgeAgreement]) -> Table:
    rows = [
        [text_cell(row.method), text_cell(row.what), _share(row.share), estimate_cell(row.kappa, digits=2)]
        for row in agreement
    ]
    columns = [words("method"), words("of"), Column(head="agree %"), Column(head="Cohen's kappa")]
    return Table(id="agreement", title="Agreement of the judges", columns=columns, rows=rows)


def _share(estimate: Estimate) -> Cell:
    """A share in percent with its n."""
    n = "" if estimate.n is None else f"n {format.count(estimate.n)}"
    return estimate_cell(estimate, percent=True, remark=n)


def _difference(difference: Difference, percent: bool) -> Cell:
    return estimate_cell(difference, percent=percent, digits=1 if percent else 3, remark=format.p_text(difference.p))


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
