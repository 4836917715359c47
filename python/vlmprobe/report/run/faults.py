"""The planted faults of a run in the embedded world, as its questions met them."""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe.report.run.questions import Question
from vlmprobe.report.run.rates import Rounds
from vlmprobe.report.run.section import Section
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Column, Table, text_cell, words


def faults_section(rounds: Rounds) -> Section | None:
    """A row for each fault that some question met; None where none is planted, or none was met."""
    names = sorted({fault for asked in rounds.values() for each in asked for fault in _reached(each)})
    if not names:
        return None
    columns = [words("fault")]
    for name in rounds:
        columns += [Column(head="reached", group=name), Column(head="detected", group=name)]
    rows = [
        [text_cell(fault), *(text_cell(format.count(n)) for asked in rounds.values() for n in _counts(fault, asked))]
        for fault in names
    ]
    notes = [
        "Numbers of different pairs of a picture and a question. Reached: a valid question met the fault’s condition; "
        "detected: because of it the answer was wrong, and the verifier said so. A fault that no question met is not "
        "here."
    ]
    table = Table(id="faults", title="Planted faults", columns=columns, rows=rows, notes=notes)
    return Section(id="faults", title="Planted faults", tables=[table], kind="faults")


def _reached(question: Question) -> Sequence[str]:
    said = question.known.get("reached")
    return [str(each) for each in said] if isinstance(said, list) and question.valid else []


def _counts(fault: str, asked: Sequence[Question]) -> tuple[int, int]:
    met = [each for each in asked if fault in _reached(each) and each.why != "not asked"]
    found = [each for each in met if each.wrong and each.known.get("triggered") == fault]
    return len({(each.key, each.text) for each in met}), len({(each.key, each.text) for each in found})
