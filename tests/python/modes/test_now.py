"""The modes on a page that nobody asked for: of the run as it stands."""

from __future__ import annotations

import pytest

from support.world_probes import run, written
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.modes import now
from vlmprobe.modes.record import read

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_run_ends_with_its_worst_mode_in_words_and_what_was_written_down_gives_way_when_it_goes_on(tmp_path, capsys):
    folder = written(tmp_path, steps=3, method="zero-shot", answerer="world:answerer-novice-small",
                     images={"source": "world", "n": 64}, images_per_step=16, group_size=4)  # fmt: skip
    assert run(folder) == 0
    *_, worst, page = capsys.readouterr().out.splitlines()
    assert page.endswith("report.html") and ("fail in" in worst or "No failure mode was found" in worst)
    assert worst.split(" [")[0] in (folder / "report.html").read_text()

    assert cli.main(["modes", str(folder)]) == 0
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        written_down = read(ledger, "probe")
        assert now.modes_now(ledger, "probe") == written_down
    assert run(folder, "--set", "budget.steps=4") == 0
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert now.modes_now(ledger, "probe").judged > written_down.judged == read(ledger, "probe").judged


def test_nothing_is_looked_for_beside_a_page_in_too_many_questions(tmp_path, monkeypatch):
    folder = written(tmp_path, steps=1, method="zero-shot")
    assert run(folder) == 0
    monkeypatch.setattr(now, "MOST", 1)
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        assert now.modes_now(ledger, "probe") is None
    assert cli.main(["report", str(folder)]) == 0
