"""A bar where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import io
import re
import sys

from vlmprobe._util.bar import Bar
from vlmprobe.probe.config import Budget
from vlmprobe.probe.progress import Progress


class Terminal(io.StringIO):
    """A stream that says that it is one."""

    def isatty(self):
        return True


def drawn(stream) -> str:
    """What was written to a terminal, without what steers it."""
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", stream.getvalue())


def test_a_terminal_has_a_bar_with_lines_above_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    with Bar(10) as bar:
        assert bar.live
        bar.update(5, "step 5: [bold]half\x1b[2J of it")
        bar.say("a line [red]above\x1b[2J")
    shown = drawn(stream)
    assert "step 5: [bold]half⟨U+001B⟩[2J of it" in shown and "━━━━━━━━━━" in shown
    assert "a line [red]above⟨U+001B⟩[2J" in shown and "\x1b[2J" not in stream.getvalue()
    assert not bar.live and not bar.stays
    before = stream.getvalue()
    bar.update(6, "later")
    assert stream.getvalue() == before


def test_elsewhere_there_are_lines_alone(monkeypatch, capsys):
    with Bar(10) as bar:
        assert not bar.live
        bar.update(5, "half of it")
        bar.say("a line")
    assert capsys.readouterr().err == "a line\n"
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    with Bar(10, wanted=False) as bar:
        bar.update(5, "half of it")
    assert stream.getvalue() == ""


def test_the_line_of_a_probe_has_the_cost_where_there_are_prices():
    assert ", cost " not in Progress(Budget(calls=10)).line()
    assert "0 of 10 calls, cost 1.235, " in Progress(Budget(calls=10), cost=lambda: 1.23456).line()
