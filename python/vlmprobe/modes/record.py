"""Modes written down: as an event of the run in its ledger, and as `modes.json` in its folder.

events of kind `modes`   JSON, what `as_plain` gives; the last one counts, and equal ones are written once
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vlmprobe._util.files import write_text
from vlmprobe._util.html import table, titled
from vlmprobe._util.json import parse, plain
from vlmprobe.ledger import Ledger
from vlmprobe.metrics import Rate
from vlmprobe.modes.asked import Asked
from vlmprobe.modes.closer import Closer, read_closer
from vlmprobe.modes.find import FindOptions
from vlmprobe.modes.mode import Mode, State, read_mode, read_rate
from vlmprobe.modes.rating import rate_of
from vlmprobe.modes.unseen import Unseen, unseen

KIND = "modes"
FILE = "modes.json"
PLANNED = ("modes", "shrink", "pairs", "dose")
"""Kinds of runs that were planned on account of what was found."""
HOLDING: tuple[State, ...] = ("confirmed", "held")
"""States of what is a mode; the others were candidates."""


@dataclass(frozen=True, kw_only=True)
class Modes:
    """What was found in a run, and how it was looked for."""

    modes: Sequence[Mode]
    """Those that hold first; candidates of the other states after them."""
    judged: int
    """Distinct pairs of picture and question with an answer that was judged."""
    failures: int
    rate: Rate
    """Of failures among them."""
    calls: int
    """Answerer calls that were made to confirm them."""
    unseen: Unseen
    """What is still to be expected."""
    options: FindOptions
    closer: Mapping[str, Closer] = field(default_factory=dict)
    """Id of a mode -> what a closer look brought; empty where none was taken."""

    @property
    def holding(self) -> list[Mode]:
        """The modes: those that the other half of the pictures, or fresh questions, bear out."""
        return [mode for mode in self.modes if mode.state in HOLDING]

    def _repr_html_(self) -> str:
        """A row for each mode that holds, the worst first."""
        heads = ("failure mode", "wrong", "of", "rate", "others", "shown by", "example", "id")
        title = f"{len(self.holding)} failure modes in {self.failures} failures among {self.judged} judged answers"
        return titled(title, table(heads, [mode.row() for mode in self.holding]))

    def plain(self) -> dict[str, Any]:
        """For JSON: `modes` are those that hold, `candidates` the others."""
        found: dict[str, Any] = plain(
            {
                "modes": [mode.plain() for mode in self.holding],
                "candidates": [mode.plain() for mode in self.modes if mode.state not in HOLDING],
                "judged": self.judged,
                "failures": self.failures,
                "rate": asdict(self.rate),
                "calls": self.calls,
                "unseen": asdict(self.unseen),
                "options": asdict(self.options),
                "closer": {name: asdict(each) for name, each in self.closer.items()},
            }
        )
        return found


def main_run(ledger: Ledger) -> str:
    """The run of a folder: the first that was begun.

    Raises:
        ValueError: none was.
    """
    runs = ledger.runs()
    if not runs:
        raise ValueError(f"[modes] {ledger.path}: expected a run, got none")
    return runs[0].id


def questions_of(ledger: Ledger) -> list[str]:
    """The runs in which questions were asked to find failures: all but those that were planned on account of them."""
    return [run.id for run in ledger.runs() if str(run.config.get("pass", "")).split("-")[0] not in PLANNED]


def modes_of(asked: Sequence[Asked], modes: Sequence[Mode], *, calls: int, options: FindOptions) -> Modes:
    """What was found, with the counts of the run.

    Args:
        asked: the questions in which they were found.
        modes: of `find_modes`, confirmed or not.
        calls: that confirming took.
        options: with which they were found.
    """
    judged = [each for each in asked if each.valid]
    holding = [mode for mode in modes if mode.state in HOLDING]
    return Modes(
        modes=modes,
        judged=len(judged),
        failures=sum(each.wrong for each in judged),
        rate=rate_of(judged),
        calls=calls,
        unseen=unseen(judged, [mode.rule for mode in holding]),
        options=options,
    )


def write(found: Modes, ledger: Ledger, run: str, file: Path) -> None:
    """Writes them down; what the ledger says already is not said twice."""
    text = json.dumps(found.plain(), allow_nan=False)
    known = ledger.events(run, kind=KIND)
    if not known or known[-1].text != text:
        ledger.event(run, kind=KIND, text=text)
    write_text(file, json.dumps(found.plain(), indent=1, allow_nan=False) + "\n")


def read(ledger: Ledger, run: str) -> Modes | None:
    """What was last written of a run; None where nothing was.

    Raises:
        ValueError: the event holds something else.
    """
    known = ledger.events(run, kind=KIND)
    if not known:
        return None
    said = parse("modes", f"{ledger.path}: event", known[-1].text)
    try:
        return Modes(
            modes=[read_mode(each) for each in (*said["modes"], *said["candidates"])],
            rate=read_rate(said["rate"]),
            unseen=_read_unseen(said["unseen"]),
            options=FindOptions(**said["options"]),
            closer={name: read_closer(each) for name, each in said["closer"].items()},
            **{name: said[name] for name in ("judged", "failures", "calls")},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"[modes] {ledger.path}: event: expected modes as they were written, got {error!s:.80}"
        ) from error


def _read_unseen(plain: dict[str, Any]) -> Unseen:
    lacking = {"to_come_most": math.inf, "richness_high": math.inf}
    values: dict[str, Any] = {
        name: lacking.get(name, math.nan) if value is None else value for name, value in plain.items()
    }
    return Unseen(**values)
