"""What a page says of a probe besides its ledger: what was found in words, what was asked for, and what that took."""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe import metrics
from vlmprobe.metrics import Rate
from vlmprobe.modes.record import Modes
from vlmprobe.probe.build import RUN
from vlmprobe.probe.hints import AskedFor
from vlmprobe.probe.outcome import Beginning, Findings
from vlmprobe.probe.own_answers import OwnAnswer
from vlmprobe.report.results.numbers import Interval
from vlmprobe.report.run.build import Known
from vlmprobe.report.run.questions import Skills
from vlmprobe.report.run.section import Section
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Column, Table, estimate_cell, text_cell, words
from vlmprobe.taxonomy.document import Taxonomy

SHOWN_HINTS = 30


def probe_known(
    found: Findings,
    *,
    title: str,
    modes: Modes | None = None,
    taxonomy: Taxonomy | None = None,
    skills: Skills | None = None,
) -> Known:
    """For the page of a probe.

    Args:
        found: of the probe.
        title: heading.
        modes: the failure modes, where they were looked for.
        taxonomy: of its questions, with its numbers.
        skills: of its questions, by that taxonomy.
    """
    where = Section(id="where", title="Where it fails", tables=[where_table(found.beginnings)])
    hints = Section(id="hints", title="What was asked about", tables=[hint_table(found.hints)])
    return Known(
        title=title, run=RUN, facts=facts(found), sentences=sentences(found), modes=modes, taxonomy=taxonomy,
        skills=skills, alarms=found.alarms, took=took_table(found), first=[where] if found.beginnings else [],
        more=[hints] if found.hints else [], probe=True,
    )  # fmt: skip


def facts(found: Findings) -> list[str]:
    """Short facts above the title."""
    state = "finished" if found.finished else "not finished"
    return [f"{format.count(found.pictures)} pictures", f"{format.count(found.steps)} steps", state]


def sentences(found: Findings) -> list[str]:
    """What was found, in words: the first sentence is the finding."""
    failing = [each for each in found.beginnings if each.failing]
    if not failing:
        judged = found.fdr.n
        said = (
            f"No failure was found among {format.count(judged)} judged answers." if judged else "No answer was judged."
        )
    else:
        said = _first(found.failures, failing[0])
    more = [
        f"Of {format.count(len(found.tally))} questions, {_rate(found.qvr)} were valid; of the valid ones whose "
        f"answers were judged, {_rate(found.fdr)} were answered wrongly."
    ]
    more.append(
        f"{format.percent(found.unscored)} % of the questions are unscored, and {format.percent(found.truncated)} % of "
        "all replies were cut."
    )
    if found.own_answers:
        more.append(_own(found.own_answers))
    if found.left_out:
        first = next(iter(found.left_out.values()))
        count = len(found.left_out)
        many = (
            f"{count} pictures could not be read and were left out, such as" if count > 1 else "One could not be read:"
        )
        more.append(f"{many} {first.split('] ', 1)[-1]}.")
    return [said, *more]


def _first(failures: int, most: Beginning) -> str:
    size = len(most.failing)
    if failures == 1:
        return f"1 failure was found, at a question that begins with “{most.words}”."
    found, rate = f"{format.count(failures)} failures were found.", _rate(most.rate)
    if 2 * size >= failures:
        return (
            f"{found} Most of them, {format.count(size)}, are questions that begin with “{most.words}”, of which "
            f"{rate} were answered wrongly."
        )
    return (
        f"{found} No kind of question has more of them than that which begins with “{most.words}”, "
        f"{format.count(size)}; of these questions {rate} were answered wrongly."
    )


def _own(answers: Sequence[OwnAnswer]) -> str:
    rate = metrics.rate([not each.correct for each in answers], cluster=[each.image for each in answers])
    return (
        f"The verifier was asked for its own answers to {format.count(rate.n)} of the questions that failed, and then "
        f"called {_rate(rate)} of them wrong."
    )


def where_table(beginnings: Sequence[Beginning]) -> Table:
    """Failures by the first words of the question."""
    columns = [words("question begins with"), Column(head="different failures"), Column(head="judged", size=True)]
    columns += [Column(head="wrong, %")]
    rows = [
        [
            text_cell(f"{each.words} …"),
            text_cell(format.count(len(each.failing))),
            text_cell(format.count(each.valid)),
            estimate_cell(Interval(value=each.rate.value, low=each.rate.low, high=each.rate.high), percent=True),
        ]
        for each in beginnings[:30]
    ]
    notes = [
        "Questions are put together by their first two words. A failure is a picture with a question; repeats are one."
    ]
    return Table(id="where", title="Where it fails", columns=columns, rows=rows, notes=notes)


def hint_table(hints: Sequence[AskedFor]) -> Table:
    """What the questioner was told to ask about, and what came of it."""
    columns = [words("asked about"), Column(head="pictures"), Column(head="judged", size=True), Column(head="failures")]
    columns += [Column(head="value")]
    rows = [
        [
            text_cell(each.hint),
            *(text_cell(format.count(n)) for n in (each.pulls, each.judged, each.failures)),
            text_cell(format.decimal(each.value, 3)),
        ]
        for each in hints[:SHOWN_HINTS]
    ]
    notes = [
        "A hint is told for all questions of a picture. Judged questions and failures are counted once a picture.",
        "The value is what the hint is worth to the run as it stands: the rate of failures to be expected under it, "
        "less the more failures it has brought and the more often it was chosen.",
    ]
    if len(hints) > SHOWN_HINTS:
        notes.append(f"These are the {SHOWN_HINTS} of {len(hints)} that brought most; --json has all.")
    return Table(id="hints", title="What was asked about", columns=columns, rows=rows, notes=notes)


def took_table(found: Findings) -> Table:
    """Calls, tokens and cost by role."""
    priced = any(role.cost for role in found.roles)
    columns = [
        words("role"),
        words("model"),
        Column(head="calls"),
        Column(head="prompt tokens"),
        Column(head="tokens of replies"),
    ]
    columns += [Column(head="cost")] if priced else []
    rows = []
    for role in found.roles:
        numbers = [format.count(n) for n in (role.calls, role.prompt_tokens, role.completion_tokens)]
        numbers += [format.decimal(role.cost, 2)] if priced else []
        rows.append([text_cell(role.name), text_cell(role.identity), *map(text_cell, numbers)])
    return Table(id="took", title="Who was asked, and what it took", columns=columns, rows=rows)


def _rate(rate: Rate) -> str:
    value, low, high = (format.decimal(100 * each, 1) for each in (rate.value, rate.low, rate.high))
    return f"{value} % [{low}, {high}; n {format.count(rate.n)}]"
