"""The rates of a run, by who asked, and why something is unscored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from vlmprobe import metrics
from vlmprobe.metrics import Rate
from vlmprobe.report.results.numbers import Interval
from vlmprobe.report.run.questions import Question
from vlmprobe.report.run.section import Section
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, estimate_cell, text_cell, words

Rounds = Mapping[str, Sequence[Question]]
"""Who asked -> the questions."""


def rates_section(rounds: Rounds) -> Section:
    """How many questions were valid, and how many of the answers wrong."""
    missing = missing_table([each for asked in rounds.values() for each in asked])
    return Section(id="rates", title="Rates", tables=[rates_table(rounds), *([missing] if missing else [])])


def rates_table(rounds: Rounds) -> Table:
    """A row for each that asked."""
    columns = [
        words("asked by"), Column(head="pictures"), Column(head="questions", size=True), Column(head="valid, %"),
        Column(head="answers judged", size=True), Column(head="wrong, %"), Column(head="unscored"),
    ]  # fmt: skip
    return Table(
        id="rates", title="Rates by who asked", columns=columns, rows=[_row(*each) for each in rounds.items()],
        notes=["Rates are of different questions, repeats among them; their intervals count pictures."],
    )  # fmt: skip


def rates_of(asked: Sequence[Question]) -> tuple[Rate, Rate]:
    """Of valid ones among the questions, and of wrong ones among the answers to valid ones."""
    valid = [each for each in asked if each.valid]
    return (
        metrics.rate([each.valid for each in asked], cluster=[each.key for each in asked]),
        metrics.rate([each.wrong for each in valid], cluster=[each.key for each in valid]),
    )


def percent_cell(rate: Rate) -> Cell:
    """A rate in percent with its interval; a dash where it is of nothing."""
    if not rate.n:
        return text_cell(None)
    return estimate_cell(Interval(value=rate.value, low=rate.low, high=rate.high), percent=True)


def missing_table(questions: Sequence[Question]) -> Table | None:
    """What was unscored, and why; None where everything was."""
    causes = Counter((_what(each), each.why or "no verdict") for each in questions if each.outcome == "unscored")
    rows = [[text_cell(what), text_cell(why), text_cell(format.count(n))] for (what, why), n in causes.most_common()]
    columns = [words("unscored for want of"), words("because"), Column(head="questions")]
    notes = ["What is unscored is neither a failure nor an answer that was right, and counts in no rate."]
    return Table(id="missing", title="What is not known", columns=columns, rows=rows, notes=notes) if rows else None


def _what(question: Question) -> str:
    if question.valid is None:
        return "a verdict on the question"
    return "a verdict on the answer" if question.answer else "an answer"


def _row(name: str, asked: Sequence[Question]) -> list[Cell]:
    validity, failure = rates_of(asked)
    unscored = sum(each.outcome == "unscored" for each in asked)
    return [
        text_cell(name),
        text_cell(format.count(len({each.key for each in asked}))),
        text_cell(format.count(len(asked))),
        percent_cell(validity),
        text_cell(format.count(failure.n)),
        percent_cell(failure),
        text_cell(format.count(unscored)),
    ]
