"""The page of a run's folder: which sections it has, in which order, from its ledger and what is known besides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vlmprobe.data.source import ImageSource
from vlmprobe.ledger import Ledger
from vlmprobe.modes.asked import asked_of
from vlmprobe.modes.mode import assign
from vlmprobe.modes.now import besides_now
from vlmprobe.modes.record import Modes
from vlmprobe.modes.record import questions_of as asking
from vlmprobe.probe.guards import Alarm
from vlmprobe.report.modes import headline, rate_text
from vlmprobe.report.page.tiles import Tile
from vlmprobe.report.run.cost import cost_section
from vlmprobe.report.run.fails import fails_section
from vlmprobe.report.run.faults import faults_section
from vlmprobe.report.run.judges import judges_section
from vlmprobe.report.run.packing import packed
from vlmprobe.report.run.pictures import thumbnails
from vlmprobe.report.run.questions import Besides, Question, Skills, questions_of, rounds_of
from vlmprobe.report.run.rates import rates_of, rates_section
from vlmprobe.report.run.section import Section
from vlmprobe.report.run.skills import combinations_section, models_section, shared_section, skills_section
from vlmprobe.report.run.training import curve_section, density_section, scene_section, steps_section
from vlmprobe.report.run.write import PageContent, Shown
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Table
from vlmprobe.taxonomy.document import Taxonomy
from vlmprobe.world.finding import finder

SHOWN = 24
"""Failures that are shown where no script runs."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of a run besides its ledger."""

    title: str
    run: str
    """Name of the run in the ledger of which the page is, first of all."""
    sentences: Sequence[str] = ()
    """What was found, in words; without any they are made of the rates."""
    notes: Sequence[str] = ()
    facts: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    modes: Modes | None = None
    taxonomy: Taxonomy | None = None
    skills: Skills | None = None
    """Of its questions, by the taxonomy; None: there is none."""
    alarms: Sequence[Alarm] = ()
    took: Table | None = None
    """Calls by role, with their prices."""
    first: Sequence[Section] = ()
    """Sections before the rates."""
    more: Sequence[Section] = ()
    """Sections before the cost."""
    faults: Section | None = None
    """The planted faults, where more is known of them than the questions say."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Run -> what it is called on the page, where that is another name."""
    probe: bool = False
    """Whether a `probe.yaml` says whom to ask."""


def run_page(ledger: Ledger, images: ImageSource, known: Known) -> PageContent:
    """The page of what the ledger has.

    Args:
        ledger: of a run, or of several that belong together.
        images: the pictures; those that it has not are not shown, but for the embedded world's, which are drawn.
        known: what is known besides.
    """
    modes, find = known.modes, finder(images, ledger.about(known.run).pictures)
    questions = questions_of(ledger, Besides(skills=known.skills, modes=_modes(ledger, modes)), known.names)
    everyone = rounds_of(questions)
    rounds = {name: asked for name, asked in everyone.items() if not asked[0].measuring}
    small = thumbnails(questions, find)
    main = next(iter(rounds), "")
    asked = rounds.get(main, [])
    runs = [run for run in ledger.runs() if run.id in asking(ledger)]
    sections = [
        fails_section(modes, find, probe=known.probe, named=known.taxonomy is not None) if modes else None,
        *known.first,
        rates_section(everyone) if questions else None,
        judges_section(ledger, known.run, questions),
        skills_section(questions, known.taxonomy),
        _all(questions, small.left_out),
        curve_section(rounds),
        density_section(main, asked),
        scene_section(main, asked, find),
        combinations_section(rounds),
        shared_section(rounds),
        models_section(questions),
        steps_section(ledger, known.run, asked, known.alarms),
        *known.more,
        cost_section(ledger, runs, everyone, known.took) if questions else None,
        known.faults or faults_section(rounds),
    ]
    failures = [each for each in questions if each.wrong][:SHOWN]
    head = next((run for run in ledger.runs() if run.id == known.run), None)
    return PageContent(
        title=known.title,
        facts=known.facts or _facts(ledger, questions),
        sentences=[*([headline(modes)] if modes else []), *(known.sentences or _sentences(rounds))],
        alarms=[str(each) for each in known.alarms],
        notes=known.notes,
        tiles=known.tiles,
        sections=[each for each in sections if each is not None and (not each.empty or each.id == "questions")],
        versions=head.versions if head else {},
        packed=packed(questions, small.place, _names(modes)) if questions else "",
        pictures=small.uris,
        failures=[Shown(question=each, uri=_uri(small.uris, small.place, each.key)) for each in failures],
    )


def _modes(ledger: Ledger, modes: Modes | None) -> dict[tuple[str, str], list[str]]:
    """(name of a picture, question) -> the modes that it belongs to."""
    if modes is None or not modes.holding:
        return {}
    runs = [run.id for run in ledger.runs() if str(run.config.get("pass", "")).split("-")[0] in ("", "modes", "pool")]
    asked = asked_of(ledger, runs, besides=besides_now(ledger))
    return {each.pair: ids for each, ids in zip(asked, assign(modes.holding, asked), strict=True) if ids}


def _facts(ledger: Ledger, questions: Sequence[Question]) -> list[str]:
    done = all(each.finished for each in ledger.progress())
    pictures = len({each.key for each in questions})
    return [
        f"{format.count(pictures)} pictures",
        f"{format.count(len(questions))} questions",
        "finished" if done else "not finished",
    ]


def _sentences(rounds: Mapping[str, Sequence[Question]]) -> list[str]:
    """The rates of each that asked, in words."""
    found = []
    for name, asked in rounds.items():
        validity, failure = rates_of(asked)
        found.append(
            f"{name}: of {format.count(len(asked))} questions {rate_text(validity)} were valid; of the valid ones "
            f"whose answers were judged, {rate_text(failure)} were answered wrongly."
        )
    return found


def _names(modes: Modes | None) -> list[tuple[str, str]]:
    return [(mode.id, mode.name) for mode in modes.holding] if modes else []


def _all(questions: Sequence[Question], left_out: int) -> Section | None:
    """Where the gallery stands."""
    if not questions:
        return None
    return Section(id="questions", title="All questions", size=format.count(len(questions)), notes=_gone(left_out))


def _gone(count: int) -> list[str]:
    if not count:
        return []
    return [
        f"{format.count(count)} pictures are left out, so that the page does not grow too large; all questions are "
        "here."
    ]


def _uri(uris: Sequence[str], place: Mapping[str, int], key: str) -> str:
    return uris[place[key]] if key in place else ""
