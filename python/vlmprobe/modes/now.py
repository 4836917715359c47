"""The failure modes of a run as it stands, without a call: those that were written down, else found now."""

from __future__ import annotations

import sys
from pathlib import Path

from vlmprobe._util.visible import say
from vlmprobe.ledger import Ledger
from vlmprobe.modes.asked import NOTHING, Besides, asked_of
from vlmprobe.modes.besides import besides_of
from vlmprobe.modes.find import FindOptions, find_modes
from vlmprobe.modes.record import Modes, main_run, modes_of, questions_of, read
from vlmprobe.run.directory import ledger_of

MOST = 100_000
"""Questions up to which they are found beside a page; for more of them there is `vlmprobe modes`."""


def modes_now(ledger: Ledger, run: str) -> Modes | None:
    """The modes of a run; None where they were not written down and there are too many questions. What was written down
    before the run went on, or before people said otherwise, gives way to what is found now, unless fresh questions
    confirmed it."""
    known = read(ledger, run)
    if (known is not None and known.calls) or ledger.counts(run=run).n_questions > MOST:
        return known
    options, asked = FindOptions(), asked_of(ledger, questions_of(ledger), besides=besides_now(ledger))
    found = modes_of(asked, find_modes(asked, options), calls=0, options=options)
    same = known is not None and (known.judged, known.failures) == (found.judged, found.failures)
    return known if same else found


def besides_now(ledger: Ledger) -> Besides:
    """What the folder says; nothing where that cannot be read: a page is written all the same."""
    try:
        return besides_of(Path(ledger.path).parent)
    except ValueError as error:
        say(f"{error}; the modes are told without it", to=sys.stderr)
        return NOTHING


def failure_modes(folder: str | Path) -> Modes | None:
    """The modes of the run in a folder, as `modes_now` gives them; nothing is written.

    Raises:
        ValueError: no folder of a run.

    Example:
        >>> failure_modes("my-probe").holding[0].name  # doctest: +SKIP
    """
    with Ledger(ledger_of(folder), read_only=True) as ledger:
        return modes_now(ledger, main_run(ledger))
