"""What a run took: calls and tokens of each model."""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe.ledger import Ledger, RunRecord
from vlmprobe.report.run.rates import Rounds
from vlmprobe.report.run.section import Section
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Column, Table, text_cell, words


def cost_section(ledger: Ledger, runs: Sequence[RunRecord], rounds: Rounds, took: Table | None) -> Section:
    """Answers that each way of asking took, and calls of models behind endpoints.

    Args:
        ledger: of the runs.
        runs: that asked.
        rounds: their questions.
        took: calls by role, where the prices are known; without it they are counted here, without prices.
    """
    calls = took or _calls(ledger, runs)
    return Section(id="cost", title="Cost", tables=[_answers(rounds), *([calls] if calls.rows else [])])


def _answers(rounds: Rounds) -> Table:
    columns = [words("asked by"), Column(head="questions"), Column(head="answers asked for"), Column(head="failures")]
    columns += [Column(head="answers for a failure")]
    rows = []
    for name, asked in rounds.items():
        answers = sum(bool(each.answer) or (each.valid is True and each.why != "not asked") for each in asked)
        failures = len({(each.key, each.text) for each in asked if each.wrong})
        per = format.decimal(answers / failures, 1) if failures else None
        numbers = (format.count(len(asked)), format.count(answers), format.count(failures), per)
        rows.append([text_cell(name), *map(text_cell, numbers)])
    notes = ["A failure is a picture with a question; repeats are one."]
    return Table(id="answers", title="Answers by who asked", columns=columns, rows=rows, notes=notes)


def _calls(ledger: Ledger, runs: Sequence[RunRecord]) -> Table:
    columns = [words("run"), words("role"), words("model"), Column(head="calls"), Column(head="prompt tokens")]
    columns += [Column(head="tokens of replies")]
    rows = []
    for run in runs:
        for role, identity in run.identities.items():
            spent = ledger.spent(run.id, role)
            if not spent.calls:
                continue
            numbers = (spent.calls, spent.prompt_tokens, spent.completion_tokens)
            rows.append([*map(text_cell, (run.id, role, identity)), *(text_cell(format.count(n)) for n in numbers)])
    notes = ["Calls of models behind endpoints; one in this process makes none, and is not here."]
    return Table(id="calls", title="Calls", columns=columns, rows=rows, notes=notes)
