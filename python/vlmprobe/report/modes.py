"""Failure modes in words, as a table, and with examples: the same for the page and for the terminal."""

from __future__ import annotations

import math

from vlmprobe.metrics import Rate
from vlmprobe.modes.mode import SHOWN_BY, Mode
from vlmprobe.modes.record import Modes
from vlmprobe.modes.unseen import AHEAD
from vlmprobe.report.results.numbers import Interval
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Cell, Column, Table, estimate_cell, text_cell, words


def sentence(mode: Mode) -> str:
    """What fails, how often, and how much of all that is."""
    name, best = mode.name[0].upper() + mode.name[1:], mode.best
    return (
        f"{name} fail in {rate_text(best.rate)} of cases, where others fail in {format.percent(best.base.value)} %; "
        f"they are {format.percent(mode.share.value)} % of all failures."
    )


def headline(found: Modes) -> str:
    """The worst mode in words, or that there is none."""
    if found.holding:
        return sentence(found.holding[0])
    return (
        f"No failure mode was found in {format.count(found.failures)} failures among "
        f"{format.count(found.judged)} judged answers."
    )


def modes_table(found: Modes) -> Table:
    """A row for each mode, the worst first."""
    columns = [
        words("failure mode"), Column(head="wrong"), Column(head="of", size=True), Column(head="rate, %"),
        Column(head="others, %"), Column(head="q"), Column(head="of all failures, %"), words("shown by"), words("id"),
    ]  # fmt: skip
    return Table(
        id="modes", title="Failure modes", columns=columns, rows=[_row(mode) for mode in found.holding],
        notes=notes(found),
    )  # fmt: skip


def notes(found: Modes) -> list[str]:
    """What the numbers are of, and what is still unseen."""
    left = found.unseen
    said = [
        f"Rules were looked for on either half of the pictures in {format.count(found.failures)} failures among "
        f"{format.count(found.judged)} judged answers, and are rated on questions that had no part in finding them. "
        "q is Benjamini and Hochberg's over all rules that were rated; intervals of 95 % count pictures."
    ]
    if found.calls:
        said.append(f"{format.count(found.calls)} answerer calls were made to confirm them and to look closer.")
    said.append(
        f"{format.count(left.kinds)} kinds of failure were seen, single ones among them, of about "
        f"{format.decimal(left.richness, 0)} [{format.decimal(left.richness_low, 0)}, "
        f"{format.decimal(left.richness_high, 0)}] (Chao2); the next {format.count(AHEAD)} judged questions are "
        f"expected to add {format.decimal(left.to_come, 1)}{_at_most(left.to_come_most)}."
    )
    return [*said, *left.doubts]


def modes_text(found: Modes) -> str:
    """For the terminal: the worst mode in words, a line for each mode, and the notes."""
    rows = [["wrong", "of", "rate, %", "q", "share, %", "shown by", "id", "failure mode"]]
    for mode in found.holding:
        best = mode.best
        interval = (
            f"{format.percent(best.rate.value)} [{format.percent_interval((best.rate.low, best.rate.high), ', ')}]"
        )
        rows.append(
            [
                format.count(best.failures),
                format.count(best.n),
                interval,
                format.p_value(best.q),
                format.percent(mode.share.value),
                SHOWN_BY[mode.state],
                mode.id,
                format.line(mode.name, 200),
            ]
        )
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
    table = ["", *lines] if found.holding else []
    closer = [format.line(each, 500) for mode in found.holding for each in closer_look(found, mode)]
    looked = ["", *closer] if closer else []
    return "\n".join([format.line(headline(found), 500), *table, *looked, "", *notes(found)])


def _at_most(count: float) -> str:
    return f", at most {format.decimal(count, 1)}" if math.isfinite(count) else ""


LEAST = 5
"""Cases of which a rate is told in words; `modes.json` has those of fewer, too."""


def closer_look(found: Modes, mode: Mode) -> list[str]:
    """What a closer look at a mode brought, in sentences; none where none was taken."""
    closer = found.closer.get(mode.id)
    if closer is None:
        return []
    said = []
    small = min(closer.shrunk, key=lambda each: (each.words[1] * each.pixels[1], each.key), default=None)
    if small is not None and (small.small_key, small.small_question) != (small.key, small.question):
        said.append(
            f"Mode {mode.id}: “{small.small_question}” about {small.small_key} fails still, of “{small.question}”."
        )
    if closer.pairs.n >= LEAST:
        said.append(
            f"Mode {mode.id}: of questions that differ by a word, {rate_text(closer.pairs)} of pairs are told apart."
        )
    curve = [f"{each.strength:g}: {rate_text(each.rate)}" for each in closer.dose if each.rate.n >= LEAST]
    if curve:
        said.append(f"Mode {mode.id}: wrong at {closer.kind} {'; '.join(curve)}.")
    return said


def rate_text(rate: Rate) -> str:
    """`31.2 % [28.9, 33.6; n 1,402]`."""
    value, low, high = (format.percent(each) for each in (rate.value, rate.low, rate.high))
    return f"{value} % [{low}, {high}; n {format.count(rate.n)}]"


def _row(mode: Mode) -> list[Cell]:
    best = mode.best
    return [
        text_cell(mode.name),
        text_cell(format.count(best.failures)),
        text_cell(format.count(best.n)),
        estimate_cell(Interval(value=best.rate.value, low=best.rate.low, high=best.rate.high), percent=True),
        text_cell(format.percent(best.base.value)),
        text_cell(format.p_value(best.q)),
        estimate_cell(Interval(value=mode.share.value, low=mode.share.low, high=mode.share.high), percent=True),
        text_cell(SHOWN_BY[mode.state]),
        text_cell(mode.id),
    ]
