"""The page of a probe: what failed, in words and pictures, and what that took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PILImage

from vlmprobe import metrics
from vlmprobe._util.files import write_text
from vlmprobe._util.optional import require
from vlmprobe.data.source import ImageSource
from vlmprobe.metrics import Rate
from vlmprobe.modes.record import Modes
from vlmprobe.probe.hints import AskedFor
from vlmprobe.probe.outcome import Beginning, Failing, Findings
from vlmprobe.probe.own_answers import OwnAnswer
from vlmprobe.report.draw.svg import palette
from vlmprobe.report.modes import closer_look, headline, modes_table, sentence
from vlmprobe.report.page import cards
from vlmprobe.report.page.cards import FailureCard
from vlmprobe.report.page.skills import skill_table
from vlmprobe.report.page.templating import templates
from vlmprobe.report.results.numbers import Interval
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Column, Table, estimate_cell, text_cell, words
from vlmprobe.taxonomy.document import Taxonomy

SHOWN = 12  # failures of one beginning
MOST = 400  # failures on a page
SHOWN_HINTS = 30
SHOWN_EXAMPLES = 4  # of a mode


@dataclass(frozen=True, kw_only=True)
class Group:
    """The failures of one beginning, as the page shows them."""

    words: str
    total: int
    shown: Sequence[FailureCard]


def write_probe_page(
    path: str | Path,
    found: Findings,
    images: ImageSource,
    *,
    title: str,
    modes: Modes | None = None,
    taxonomy: Taxonomy | None = None,
) -> Path:
    """Writes the page; a page that is there is replaced as a whole.

    Args:
        path: the file.
        found: of the probe.
        images: its pictures, under the numbers that they had when it began; one that is gone is not shown.
        title: heading.
        modes: the failure modes, where they were looked for; they come first.
        taxonomy: of its questions, with its numbers; None: skills are not shown.
    """
    require("jinja2", extra="report")
    from markupsafe import Markup

    environment = templates()
    environment.globals.update(picture=cards.picture, ours=Markup, palette=palette(), dash=format.DASH)
    environment.filters.update(count=format.count)
    text = environment.get_template("probe.html.j2").render(
        title=title,
        facts=facts(found),
        sentences=[*([headline(modes)] if modes else []), *sentences(found)],
        modes=mode_groups(modes, images) if modes else [],
        closer=[each for mode in modes.holding for each in closer_look(modes, mode)] if modes else [],
        modes_table=modes_table(modes) if modes else None,
        alarms=[str(alarm) for alarm in found.alarms],
        where=where_table(found.beginnings),
        skills=None if taxonomy is None else skill_table(taxonomy),
        beginnings=_groups(found.beginnings, images),
        n_failures=found.failures,
        hints=hint_table(found.hints),
        took=took_table(found),
        missing=missing_table(found),
        versions=found.versions,
    )
    path = Path(path)
    write_text(path, text)
    return path


def mode_groups(modes: Modes, images: ImageSource) -> list[Group]:
    """Each mode in words, with some of its failures on different pictures."""
    found = []
    for mode in modes.holding:
        shown = [
            FailureCard(
                family=mode.name, question=each.question, answer=each.answer, image=_pixels(images, each.image),
                reason=each.reason, source=each.key,
            )
            for each in mode.examples[:SHOWN_EXAMPLES]
        ]  # fmt: skip
        found.append(Group(words=sentence(mode), total=len(mode.examples), shown=shown))
    return found


def facts(found: Findings) -> list[str]:
    """Short facts above the title."""
    state = "finished" if found.finished else "interrupted"
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


_WHAT = {"validity": "verdicts on questions", "answer": "answers", "correctness": "verdicts on answers"}


def missing_table(found: Findings) -> Table | None:
    """What was unscored, and why; None where everything was."""
    rows = [
        [text_cell(_WHAT[what]), text_cell(why), text_cell(format.count(count))]
        for what, causes in found.missing.items()
        for why, count in sorted(causes.items(), key=lambda item: -item[1])
    ]
    columns = [words("missing"), words("why"), Column(head="how many")]
    notes = ["What is missing is unscored: it is neither a failure nor an answer that was right."]
    return Table(id="missing", title="What is not known", columns=columns, rows=rows, notes=notes) if rows else None


def _groups(beginnings: Sequence[Beginning], images: ImageSource) -> list[Group]:
    left, groups = MOST, []
    for each in beginnings:
        shown = each.failing[: min(SHOWN, left)]
        left -= len(shown)
        if shown:
            made = [_card(each.words, one, images) for one in shown]
            groups.append(Group(words=each.words, total=len(each.failing), shown=made))
    return groups


def _card(words_: str, one: Failing, images: ImageSource) -> FailureCard:
    answers = [f"{text} ({times} times)" if times > 1 else text for text, times in one.answers.items()]
    return FailureCard(
        family=words_,
        question=one.question,
        answer="; ".join(answers),
        image=_pixels(images, one.image),
        reason=one.reason,
        source=f"{one.image_key}, wrong {one.times} of {one.asked} times",
    )


def _pixels(images: ImageSource, index: int) -> PILImage.Image | None:
    try:
        return images[index].pixels
    except Exception:  # it was there when it was asked about
        return None


def _rate(rate: Rate) -> str:
    value, low, high = (format.decimal(100 * each, 1) for each in (rate.value, rate.low, rate.high))
    return f"{value} % [{low}, {high}; n {format.count(rate.n)}]"
