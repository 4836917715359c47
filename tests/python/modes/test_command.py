"""`vlmprobe modes` on a probe of the world: terminal, JSON, ledger and page say the same, and nothing is paid twice."""

from __future__ import annotations

import json
import shutil

import pytest

from support.pages import Page
from support.world_probes import written
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.modes.record import main_run, questions_of, read
from vlmprobe.report.modes import headline

CALLS = 3000
SHARE = "0.2"
PROBE = {
    "images": {"source": "world", "n": 64},
    "questioner": {"python": "vlmprobe.methods.random_valid:RandomValid"},
    "method": "zero-shot",
    "images_per_step": 16,
    "group_size": 2,
    "budget": {"calls": CALLS},
}
pytestmark = pytest.mark.usefixtures("one_thread")


def printed(capsys, *words):
    capsys.readouterr()
    assert cli.main([*words]) == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = written(tmp_path_factory.mktemp("modes") / "probe", steps=None, **PROBE)
    assert cli.main(["run", str(folder), "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def confirmed(finished, tmp_path_factory):
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("modes") / "confirmed")
    assert cli.main(["modes", str(folder), "--confirm", SHARE]) == 0
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def counts(folder):
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return {run.id: ledger.counts(run=run.id).answerer_calls for run in ledger.runs()}, read(ledger, "probe")


def test_the_first_line_is_the_worst_mode_in_words_and_the_last_the_page(copy, capsys):
    lines = printed(capsys, "modes", str(copy)).splitlines()
    found = json.loads((copy / "modes.json").read_text())
    worst = found["modes"][0]
    assert lines[0].startswith(f"Questions{worst['name'].removeprefix('questions')} fail in ")
    assert lines[-1] == str(copy / "report.html") and worst["name"] in lines[3]
    assert worst["share"]["value"] == max(mode["share"]["value"] for mode in found["modes"])


def test_json_file_ledger_and_page_say_the_same(copy, capsys):
    said = json.loads(printed(capsys, "modes", str(copy), "--json"))
    page = Page((copy / "report.html").read_text())
    assert {**json.loads((copy / "modes.json").read_text()), "report": str(copy / "report.html")} == said
    with Ledger(copy / "ledger.sqlite", read_only=True) as ledger:
        found = read(ledger, main_run(ledger))
    assert found.plain() == {name: value for name, value in said.items() if name != "report"}
    assert len(said["modes"]) >= 2 and page.open == []
    text = page.text
    assert text.index(headline(found)) < text.index("failures were found") and headline(found) in text
    for mode in said["modes"]:
        assert mode["name"].removeprefix("questions") in text and mode["id"] in text


def test_the_modes_of_the_world_name_planted_faults(copy):
    assert cli.main(["modes", str(copy)]) == 0
    names = [mode["name"] for mode in json.loads((copy / "modes.json").read_text())["modes"]]
    assert {"questions with “corner” whose right answer has “blue”"} <= set(names), names  # the fault corner-blue


def test_a_run_without_failures_has_no_modes_and_says_so(tmp_path, capsys):
    (tmp_path / "none.json").write_text("[]")
    answerer = {"model": "world", "faults": str(tmp_path / "none.json")}
    folder = written(tmp_path / "probe", steps=None, **{**PROBE, "answerer": answerer})
    assert cli.main(["run", str(folder), "--quiet", "--set", "budget.calls=300"]) == 0
    out = printed(capsys, "modes", str(folder), "--confirm", SHARE)
    assert out.startswith("No failure mode was found in 0 failures among ")
    assert counts(folder)[0] == {"probe": 300}
    assert "No failure mode was found" in Page((folder / "report.html").read_text()).text


def test_fresh_questions_are_in_the_ledger_within_their_share_and_found_modes_hold(confirmed):
    calls, found = counts(confirmed)
    [name] = [run for run in calls if run != "probe"]
    assert name.startswith("probe/modes-") and 0 < calls[name] <= float(SHARE) * CALLS
    assert found.calls == calls[name] and calls["probe"] == CALLS
    assert any(mode.state == "confirmed" for mode in found.holding)
    with Ledger(confirmed / "ledger.sqlite", read_only=True) as ledger:
        before = {(i, q) for part in ledger.each_judged("probe") for i, q in zip(part.image, part.text, strict=True)}
        fresh = {(i, q) for part in ledger.each_judged(name) for i, q in zip(part.image, part.text, strict=True) if q}
        assert fresh and fresh.isdisjoint(before) and questions_of(ledger) == ["probe"]


def test_the_same_command_again_pays_nothing_and_says_the_same(confirmed, capsys):
    before, events = counts(confirmed)[0], (confirmed / "modes.json").read_text()
    printed(capsys, "modes", str(confirmed), "--confirm", SHARE)
    assert counts(confirmed)[0] == before and (confirmed / "modes.json").read_text() == events
    with Ledger(confirmed / "ledger.sqlite", read_only=True) as ledger:
        assert len(ledger.events("probe", kind="modes")) == 1


def test_a_confirmation_that_was_cut_goes_on_where_it_was(copy, confirmed, monkeypatch):
    from vlmprobe.world.verifiers import OracleVerifier

    asked, correctness = [], OracleVerifier.correctness

    def cut(self, images, questions, answers):
        asked.append(len(questions))
        if sum(asked) > 100:
            raise KeyboardInterrupt
        return correctness(self, images, questions, answers)

    with monkeypatch.context() as patched:
        patched.setattr(OracleVerifier, "correctness", cut)
        assert cli.main(["modes", str(copy), "--confirm", SHARE]) == 130
    assert 0 < sum(counts(copy)[0].values()) - CALLS < 100 and not (copy / "modes.json").exists()
    assert cli.main(["modes", str(copy), "--confirm", SHARE]) == 0
    assert counts(copy)[0] == counts(confirmed)[0]
    assert (copy / "modes.json").read_text() == (confirmed / "modes.json").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "DIR: expected one folder of a run, got none"),
        (["nowhere"], "expected the folder of a run, got 'nowhere'"),
        (["nowhere", "--confirm", "2"], "--confirm: expected a share in [0, 1], got 2.0"),
    ],
)
def test_bad_input_is_one_clear_error(words, message, capsys):
    assert cli.main(["modes", *words]) == 2
    assert message in capsys.readouterr().err
