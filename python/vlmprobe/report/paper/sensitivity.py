"""Judge sensitivity in sentences and small tables: what changes when another model judges or another reward is paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, estimate_cell, number, p_text, text_cell, words

Estimate = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """The section on judge sensitivity."""

    sentences: Sequence[str]
    tables: Sequence[Table]


def sensitivity(found: Mapping[str, Any]) -> Sensitivity:
    """Reads `results["sensitivity"]`; parts that it does not have are left out."""
    judges = [str(judge) for judge in found["judges"]]
    rewards = found.get("rewards") or {}
    by_judge, by_reward = found.get("pairs") or [], rewards.get("pairs") or []
    sentences = [
        _judges(judges),
        *_ranking(found.get("ranking") or {}, "FDR"),
        *_pairs(by_judge, "judge"),
        *_skills(found),
        *_ranking(rewards.get("ranking") or {}, "mean reward"),
        *_pairs(by_reward, "reward"),
    ]
    names = [str(name) for name in rewards.get("names") or []]
    tables = [
        _rate_table(found.get("rates") or [], judges),
        _pair_table(by_judge, judges, "judge", "FDR difference, points", percent=True),
        _skill_table(found.get("skills") or [], judges),
        _reward_table(rewards, names),
        _pair_table(by_reward, names, "reward", "reward difference", percent=False),
        _agreement_table(found.get("agreement") or []),
    ]
    return Sensitivity(sentences=sentences, tables=[table for table in tables if table.rows])


def _judges(judges: Sequence[str]) -> str:
    return f"The same questions and answers were judged by {_list(judges)}."


def _ranking(ranking: Mapping[str, Sequence[str]], what: str) -> list[str]:
    """One sentence when all rankings agree, else one for each."""
    if not ranking:
        return []
    orders = {name: ", ".join(map(str, methods)) for name, methods in ranking.items()}
    if len(set(orders.values())) == 1:
        return [f"Ranked by {what}, highest first, all agree: {next(iter(orders.values()))}."]
    told = "; ".join(f"{name}: {order}" for name, order in orders.items())
    return [f"The ranking by {what} changes. Highest first, {told}."]


def _pairs(pairs: Sequence[Mapping[str, Any]], view: str) -> list[str]:
    if not pairs:
        return []
    flips = [pair.get("flips") for pair in pairs]
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


def _skills(found: Mapping[str, Any]) -> list[str]:
    total, differ, left = (number(found, "n_skills"), len(found.get("skills") or []), found.get("n_skills_left_out"))
    if not total:
        return []
    compared = f"Of {total:.0f} pair{'s' if total != 1 else ''} of a method and a skill that were compared"
    too_few = f"; {left} more had too few questions under one of the judges" if left else ""
    return [f"{compared}, {differ} {'is' if differ == 1 else 'are'} hard for one judge only{too_few}."]


def _rate_table(rates: Sequence[Mapping[str, Any]], judges: Sequence[str]) -> Table:
    """A row per method, QVR and FDR of each judge."""
    by_method: dict[str, dict[str, Mapping[str, Any]]] = {}
    for rate in rates:
        by_method.setdefault(str(rate["method"]), {})[str(rate["judge"])] = rate
    rows = [
        [text_cell(method)] + [_share(of.get(judge, {}).get(key)) for key in ("qvr", "fdr") for judge in judges]
        for method, of in by_method.items()
    ]
    heads = [f"{name} %, {judge}" for name in ("QVR", "FDR") for judge in judges]
    columns = [words("method"), *map(_numbers, heads)]
    note = "FDR: of the questions that the judge and the run's own verifier hold valid; only those were answered."
    return Table(id="judge-rates", title="Rates by judge", columns=columns, rows=rows, notes=[note])


def _pair_table(
    pairs: Sequence[Mapping[str, Any]], views: Sequence[str], view: str, what: str, *, percent: bool
) -> Table:
    """The pairs that flip: the difference with its p-value in each view."""
    rows = [
        [text_cell(" − ".join(map(str, pair["methods"])))]
        + [_difference(pair["differences"].get(each), percent) for each in views]
        + [text_cell(pair["flips"])]
        for pair in pairs
        if pair.get("flips")
    ]
    columns = [words("pair"), *(_numbers(f"{what}, {each}") for each in views), words("changes")]
    return Table(id=f"{view}-pairs", title=f"Pairs of methods that change with the {view}", columns=columns, rows=rows)


def _skill_table(skills: Sequence[Mapping[str, Any]], judges: Sequence[str]) -> Table:
    rows = [
        [text_cell(row["method"]), text_cell(row["skill"])]
        + [_share(row["rates"].get(judge)) for judge in judges]
        + [text_cell(_list([judge for judge in judges if row["hard"].get(judge)]))]
        for row in skills
    ]
    columns = [words("method"), words("skill"), *(_numbers(f"FDR %, {judge}") for judge in judges), words("hard for")]
    return Table(id="judge-skills", title="Skills that are hard for one judge only", columns=columns, rows=rows)


def _reward_table(rewards: Mapping[str, Any], names: Sequence[str]) -> Table:
    """A row per method, the mean of each reward."""
    by_method: dict[str, dict[str, Estimate]] = {}
    for mean in rewards.get("means") or []:
        by_method.setdefault(str(mean["method"]), {})[str(mean["reward"])] = mean
    rows = [
        [text_cell(method)] + [estimate_cell(of.get(name), digits=3) for name in names]
        for method, of in by_method.items()
    ]
    columns = [words("method"), *map(_numbers, names)]
    return Table(id="rewards", title="Mean reward of the same questions", columns=columns, rows=rows)


def _agreement_table(agreement: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        [text_cell(row["method"]), text_cell(row["what"]), _share(row["share"]), estimate_cell(row["kappa"], digits=2)]
        for row in agreement
    ]
    columns = [words("method"), words("of"), _numbers("agree %"), _numbers("Cohen's kappa")]
    return Table(id="agreement", title="Agreement of the judges", columns=columns, rows=rows)


def _numbers(head: str) -> Column:
    return Column(head=head)


def _share(estimate: Estimate | None) -> Cell:
    """A share in percent with its n."""
    cell = estimate_cell(estimate, percent=True)
    n = number(estimate or {}, "n")
    return Cell(text=cell.text, interval=cell.interval, remark="" if n is None else f"n {format.count(n)}")


def _difference(difference: Estimate | None, percent: bool) -> Cell:
    cell = estimate_cell(difference, percent=percent, digits=1 if percent else 3)
    return Cell(text=cell.text, interval=cell.interval, remark=p_text(number(difference or {}, "p")))


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
