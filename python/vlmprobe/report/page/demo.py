"""What a page says of a demo besides its ledger: its ways of asking side by side, on the same planted faults."""

from __future__ import annotations

from collections.abc import Sequence

from vlmprobe.modes.record import Modes
from vlmprobe.report.draw.planted import detected
from vlmprobe.report.page import cards
from vlmprobe.report.page.cards import FailureCard
from vlmprobe.report.page.columns import arm_name, comparison_table
from vlmprobe.report.page.faults import fault_table
from vlmprobe.report.page.headline import headline
from vlmprobe.report.page.probe import hint_table
from vlmprobe.report.page.tiles import tiles
from vlmprobe.report.results.demo import Summary
from vlmprobe.report.run.build import Known
from vlmprobe.report.run.section import Chart, Group, Section
from vlmprobe.report.table import format

_COMPARED = (
    "Small figures are 95 % intervals; the bars below them run from 0 to 100 %. Families and LD depend on n: compare "
    f"them between rows of about the same number of valid questions. {format.DASH} is not known."
)
_FAULTS = (
    "Numbers of different pairs of a picture and a question. Reached: a valid question met the fault’s condition; "
    "detected: because of it the answer was wrong, and the verifier said so; calls to 10: answerer calls after which "
    f"ten pairs were detected, {format.DASH} where that never was. Mass: share of valid questions about these pictures "
    "that meet the condition, drawn as the world draws them."
)


def demo_known(
    summary: Summary,
    *,
    run: str,
    gallery: Sequence[FailureCard] = (),
    title: str = "vlmprobe",
    notes: Sequence[str] = (),
    modes: Modes | None = None,
) -> Known:
    """For the page of a demo.

    Args:
        summary: of the demo; see `read_summary`.
        run: its name in the ledger.
        gallery: failures of the first way of asking, the best first within a family.
        title: heading.
        notes: sentences below the heading's numbers, such as what was measured and what was not.
        modes: the failure modes, where they were looked for.
    """
    asker = arm_name(next(iter(summary.arms)))
    hints = Section(id="hints", title="What was asked about", size=asker, tables=[hint_table(summary.hints)])
    return Known(
        title=title, run=run, facts=_facts(summary), sentences=headline(summary), notes=notes, tiles=tiles(summary),
        modes=modes, first=[_compared(summary), *_kinds(gallery, asker)], more=[hints] if summary.hints else [],
        faults=_faults(summary),
        names={name: arm_name(name) for name in summary.arms},
    )  # fmt: skip


def _compared(summary: Summary) -> Section:
    chart, table = _curves(summary), comparison_table(summary)
    return Section(
        id="compared", title=table.title, tables=[table], charts=[chart] if chart else [],
        notes=[_COMPARED],
    )  # fmt: skip


def _kinds(gallery: Sequence[FailureCard], asker: str) -> list[Section]:
    first = cards.one_of_each(gallery)
    group = Group(words="The first of each planted fault, else of each family", shown=first)
    size = f"{len(first)} of {asker}"
    return [Section(id="kinds", title="One failure of each kind", size=size, groups=[group])] if first else []


def _faults(summary: Summary) -> Section | None:
    table = fault_table(summary)
    if table is None:
        return None
    return Section(id="faults", title="Planted faults", tables=[table], kind="faults", notes=[_FAULTS])


def _curves(summary: Summary) -> Chart | None:
    """None without planted faults or curves."""
    lines = {name: [(calls, ten) for calls, _, ten in arm.curve] for name, arm in summary.arms.items() if arm.curve}
    if not summary.planted or not lines:
        return None
    return Chart(
        id="curves", title="Planted faults with ten different pairs or more, over answerer calls",
        svg=detected("curves", list(lines.values()), len(summary.planted)),
        legend=[(arm_name(name), format.count(points[-1][1])) for name, points in lines.items()],
        head=("asked by", "answerer calls", "faults"),
        rows=[(arm_name(name), *point) for name, points in lines.items() for point in points],
    )  # fmt: skip


def _facts(summary: Summary) -> list[str]:
    """Seed, pictures and time, as far as they are known."""
    seconds = summary.seconds
    facts = [f"seed {summary.seed}"] if summary.seed is not None else []
    facts += [f"{format.count(summary.pictures)} pictures"] if summary.pictures is not None else []
    if seconds is not None:
        facts.append(f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min")
    return facts
