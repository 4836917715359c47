"""A ledger that grows: what a step costs does not, and what is read is read in parts."""

from __future__ import annotations

import shutil
import sys
import tracemalloc
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks" / "python"))
from ledger_growth import RUN, STEP, build, step_of

from vlmprobe import cli
from vlmprobe.ledger import Ledger, failures, judged, recorded_questions
from vlmprobe.loop.tally import Tally, Texts
from vlmprobe.metrics import duplicates, effective_number, effective_number_counted
from vlmprobe.models.embedder import HashedNgramEmbedder
from vlmprobe.world.discovery import Discovery, discovery

QUESTIONS = 40 * STEP


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("grown") / "ledger.sqlite"
    build(path, QUESTIONS)
    return path


@pytest.fixture
def ledger(path):
    with Ledger(path, read_only=True) as ledger:
        yield ledger


def operations(ledger, do):
    """Steps of SQLite's virtual machine, in hundreds."""
    count = [0]

    def one_more():
        count[0] += 1
        return 0

    ledger._db.set_progress_handler(one_more, 100)
    do()
    ledger._db.set_progress_handler(None, 0)
    return count[0]


def test_recording_a_step_looks_at_its_own_pictures_alone(path, tmp_path):
    build(tmp_path / "small.sqlite", STEP)
    shutil.copy(path, tmp_path / "large.sqlite")
    with Ledger(tmp_path / "small.sqlite") as small, Ledger(tmp_path / "large.sqlite") as large:
        costs = [operations(each, lambda each=each: each.record(step_of(999))) for each in (small, large)]
    assert costs[1] < 1.1 * costs[0]


def peak(do):
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_failures_are_read_in_parts(ledger, monkeypatch):
    monkeypatch.setattr(failures, "AT_ONCE", 50)
    whole = list(ledger.failures())
    assert len(whole) == len(ledger.failures()) > 1000
    assert peak(lambda: sum(1 for _ in ledger.failures())) < peak(lambda: list(ledger.failures())) / 5


def test_failures_are_a_sequence(ledger, monkeypatch):
    whole = list(ledger.failures())
    monkeypatch.setattr(failures, "AT_ONCE", 7)
    found = ledger.failures()
    assert found == whole and whole == found and found == ledger.failures() and found != whole[1:] and found != "x"
    assert found[0] == whole[0] and found[-1] == whole[-1] and found[100] == whole[100]
    for some in (slice(3), slice(5, 20, 4), slice(-3, None), slice(20, 5), slice(9, 2, -3), slice(None, None, 500)):
        assert found[some] == whole[some]
    with pytest.raises(IndexError):
        found[len(whole)]
    for limit in (0, 1, 6, 7, 8, 14):
        assert ledger.failures(limit=limit) == whole[:limit] and len(ledger.failures(limit=limit)) == limit
    assert ledger.failures("pool", run="default") == [row for row in whole if row.run == "default"] != []
    assert (
        whole[3] in found and not ledger.failures(run="nobody") and repr(found) == f"Failures({len(whole)} questions)"
    )


def test_a_run_is_read_step_by_step(ledger):
    steps = list(ledger.each_step(RUN))
    assert [step.step for step in steps] == list(range(len(ledger.recorded_steps(RUN))))
    assert steps[3] == ledger.step(RUN, "train", 3) and list(ledger.each_step(RUN, phase="other")) == []
    assert steps[3].numbers == step_of(3).numbers and steps[3].questions == step_of(3).questions
    assert peak(lambda: sum(1 for _ in ledger.each_step(RUN))) < peak(lambda: list(ledger.each_step(RUN))) / 5


@pytest.mark.parametrize("calls", [0, 1, 100, 2000, 10**9])
def test_numbers_of_parts_are_those_of_the_whole(calls, ledger, monkeypatch):
    monkeypatch.setattr(judged, "AT_ONCE", 3)
    tally = recorded_questions(ledger, RUN).first(calls)
    found, world = Tally(), Discovery()
    for part in ledger.each_judged(RUN):
        some = part.first(calls - found.calls)
        found.add(some)
        world.add(some)
    embedder = HashedNgramEmbedder()
    assert repr(found.numbers(embedder)) == repr(Tally.of(tally.judged()).numbers(embedder))
    assert repr(found.rates()) == repr(Tally.of(tally.judged()).rates()) and repr(world.numbers()) == repr(
        discovery(tally)
    )
    assert len(found) == len(tally.rows) and found.calls == tally.calls


def test_what_a_report_reads_is_read_in_parts(ledger, monkeypatch):
    monkeypatch.setattr(judged, "AT_ONCE", 2)

    def parts():
        found = Tally()
        for part in ledger.each_judged(RUN):
            found.add(part)

    assert peak(parts) < peak(lambda: recorded_questions(ledger, RUN)) / 5


def test_a_report_is_written_where_there_is_room(path, tmp_path, capsys):
    before = path.read_bytes()
    assert cli.main(["report", "--run", str(path.parent), "--out", str(tmp_path / "new" / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "new" / "out" / "report.html")
    assert sorted(file.name for file in (tmp_path / "new" / "out").iterdir()) == ["report.html", "summary.json"]
    assert path.read_bytes() == before and [file.name for file in path.parent.iterdir()] == [path.name]
    (tmp_path / "file").touch()
    assert cli.main(["report", "--run", str(path.parent), "--out", str(tmp_path / "file" / "x")]) == 2
    said = f"vlmprobe report: [report] {tmp_path}/file/x: cannot be written (Not a directory); name another folder with"
    assert capsys.readouterr().err.startswith(said)


def test_texts_in_little_memory_are_the_same_texts():
    texts = ["", "a", "ü✓", "\ud800", "a\0", "a", "", "🎈"]
    found = Texts(texts)
    assert list(found) == texts and found[2:5] == texts[2:5] and found[-1] == "🎈" and len(found) == 8
    assert found.distinct() == 6 and found.distinct([False, True, False, False, False, True, True, False]) == 2
    assert 1 - found.distinct() / len(found) == duplicates(texts)


def test_an_effective_number_of_counts_is_that_of_the_labels():
    for labels in ([], ["a"], ["a"] * 3, list("abcab"), list("aaaaaaabcccdd"), list("abcdefg")):
        counts = {label: labels.count(label) for label in [*labels, "none"]}
        assert repr(effective_number_counted(counts)) == repr(effective_number(labels))
