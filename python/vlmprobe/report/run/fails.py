"""What fails, in words: the failure modes with their rates and examples, and what a person would do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image as PILImage

from vlmprobe.modes.mode import Example, Mode
from vlmprobe.modes.record import Modes
from vlmprobe.report.modes import closer_look, modes_table, sentence
from vlmprobe.report.page.cards import FailureCard
from vlmprobe.report.run.section import Group, Section
from vlmprobe.report.table import format
from vlmprobe.report.table.cells import Table
from vlmprobe.world.finding import Find

SHOWN = 3
"""Examples of a mode."""
SIDE = 220
"""Pixels of the longer side of their pictures."""
FEW = 30
"""Questions below which a rate is called uncertain."""


def fails_section(modes: Modes, find: Find, *, probe: bool, named: bool) -> Section:
    """The modes, the worst first.

    Args:
        modes: of the run.
        find: pictures.
        probe: whether `vlmprobe modes` can ask more questions, because a `probe.yaml` says whom.
        named: whether the skills of its questions are named.
    """
    table = modes_table(modes)
    return Section(
        id="fails",
        title="What fails",
        size=format.count(len(modes.holding)),
        tables=[_leading(table, modes)] if modes.holding else [],
        groups=[_group(modes, mode, find, probe) for mode in modes.holding],
        steps=_steps(modes, probe, named),
        notes=[] if modes.holding else list(table.notes),
    )


def _leading(table: Table, modes: Modes) -> Table:
    """The table, where each mode leads to its questions."""
    rows = [
        [replace(row[0], finds="mode", found=mode.id), *row[1:]]
        for row, mode in zip(table.rows, modes.holding, strict=True)
    ]
    return replace(table, rows=rows)


def _group(modes: Modes, mode: Mode, find: Find, probe: bool) -> Group:
    small = sorted(mode.examples, key=lambda each: (len(each.question.split()), len(each.question)))
    return Group(
        words=sentence(mode), mode=mode.id, then=_then(mode, probe), more=closer_look(modes, mode),
        shown=[_card(mode, each, find) for each in _different(small)[:SHOWN]],
    )  # fmt: skip


def _different(examples: Sequence[Example]) -> list[Example]:
    """Those in other words first."""
    first = {each.question: each for each in reversed(examples)}
    kept = [each for each in examples if first[each.question] is each]
    return [*kept, *(each for each in examples if first[each.question] is not each)]


def _card(mode: Mode, each: Example, find: Find) -> FailureCard:
    return FailureCard(
        family=mode.name, question=each.question, answer=each.answer, reason=each.reason, source=each.key,
        image=_small(find(each.key)),
    )  # fmt: skip


def _small(image: PILImage.Image | None) -> PILImage.Image | None:
    if image is not None and max(image.size) > SIDE:
        image = image.copy()
        image.thumbnail((SIDE, SIDE))
    return image


def _then(mode: Mode, probe: bool) -> str:
    """What a person would do next about a mode."""
    if mode.state == "confirmed":
        if mode.best.n < FEW:
            return f"Fresh questions bear it out, but only {mode.best.n} of them: ask more before a rate is quoted."
        return (
            "Fresh questions bear it out: look at its questions, then collect such cases to train on or to test with."
        )
    if probe:
        return "It was rated on other pictures of this run alone: have fresh questions asked before it is relied on."
    return "It was rated on other pictures of this run alone: look at its questions before it is relied on."


def _steps(modes: Modes, probe: bool, named: bool) -> list[str]:
    """What a person would do next, all in all."""
    holding = modes.holding
    if not holding:
        more = "raise budget.calls in probe.yaml and run it again, which goes on" if probe else "ask more questions"
        said = ["Look at the single failures among the questions below: too few of them had something in common."]
        return [*said, f"Or {more}."] if modes.failures else [f"Nothing failed yet: {more}."]
    said = [
        f"Look at the examples of mode {holding[0].id} and judge them yourself. Where the answer is right after all, "
        "it is the verifier that errs: `vlmprobe rejudge` has another one judge the same answers."
    ]
    if probe and any(mode.state != "confirmed" for mode in holding):
        said.append("`vlmprobe modes RUN --confirm 0.1` asks fresh questions about each mode and says which hold.")
    if probe and not modes.closer:
        said.append("`vlmprobe modes RUN --closer 0.1` shrinks examples and edits pictures: what does it hang on?")
    if probe and not named:
        said.append("`vlmprobe taxonomy RUN` names the skills that the questions need, and how often each fails.")
    said.append("`vlmprobe export RUN questions.jsonl` writes all questions with their verdicts, for other programs.")
    return said
