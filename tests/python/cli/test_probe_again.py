"""A probe of one's own pictures seen again: another judge, another reward, a table, and a face for notebooks."""

from __future__ import annotations

import itertools
import json
import sys

import pytest

from support.chatting import needs_chat_client
from support.planned_server import fine, planned, said
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.probe.run import COLUMNS, ProbeRun
from vlmprobe.world.source import WorldImages

pytestmark = [needs_chat_client, pytest.mark.usefixtures("one_thread")]
ROLES = {"questioner": "asker", "answerer": "answers", "verifier": "judge"}


def vlmprobe(*words) -> int:
    return cli.main([str(word) for word in words])


@pytest.fixture
def server():
    number = itertools.count()

    def plan(model: str, text: str):
        if model == "asker":
            i = next(number)
            return said(
                f"<response_1> How many {'abcdefgh'[i % 8]}s? </response_1><response_2> Is it {i}? </response_2>"
            )
        return fine(model, text)

    with planned() as found:
        found.plan = plan
        yield found


@pytest.fixture
def folder(tmp_path, server, capsys):
    """A probe that ran: two steps about pictures of one's own, the third of which is broken."""
    (tmp_path / "photos").mkdir()
    for i, image in enumerate(WorldImages(2, seed=3)):
        image.pixels.save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"no picture")
    made = tmp_path / "probe"
    roles = [word for name, model in ROLES.items() for word in (f"--{name}", model)]
    assert (
        vlmprobe(
            "init", made, "--images", tmp_path / "photos", "--endpoint", server.url, *roles, "--method", "zero-shot"
        )
        == 0
    )
    assert vlmprobe("run", made, "--set", "budget.steps=2", "--quiet") == 0
    capsys.readouterr()
    return made


def own(folder) -> list[str]:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return [line for line in ledger.dump() if not {'"judg', '"calls"', '"events"'} & set_of(line)]


def set_of(line: str) -> set[str]:
    table = json.loads(line)["table"]
    return {'"judg'} if table.startswith("judg") else {f'"{table}"'}


def test_another_judge_of_ones_own_pictures_stands_beside_the_first(folder, server, capsys):
    before, asked = own(folder), server.calls
    assert vlmprobe("rejudge", folder, "--name", "second", "--verifier", f"judge-2@{server.url}") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 steps judged by judge-2 [") and lines[2].startswith("the run's own")
    assert lines[3].startswith("second") and "differ in validity and 0 in correctness" in lines[-1]
    assert own(folder) == before and server.calls > asked
    asked = server.calls
    assert vlmprobe("rejudge", folder, "--name", "second", "--verifier", f"judge-2@{server.url}", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 0 and server.calls == asked and found["name"] == "second"
    assert found["own"] == found["again"] and found["own"]["fdr"]["n"] > 5 and found["own"]["qvr"]["rate"] == 1
    assert found["differ"] == {"validity": 0, "correctness": 0} and found["verifier"].startswith("judge-2 [")


def test_a_judge_may_differ_by_a_setting_alone(folder, server, capsys):
    severe = {
        "reason": "no",
        "grammatical": True,
        "atomic": True,
        "grounded": True,
        "objective": True,
        "correct": False,
    }
    plan = server.plan
    server.plan = lambda model, text: (
        said(f"<verdict>{json.dumps(severe)}</verdict>") if model == "judge" else plan(model, text)
    )
    assert vlmprobe("rejudge", folder, "--name", "cold", "--set", "verifier.temperature=0", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "t=0," in found["verifier"] and found["again"]["fdr"]["rate"] == 1 > found["own"]["fdr"]["rate"]
    assert vlmprobe("reweight", folder, "--name", "plain", "--base", "cold", "--reward", "valid * wrong") == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1 and out[0].startswith("reward of a sequence, mean: +1.0000 as plain: ")
    assert vlmprobe("reweight", "--run", folder, "--name", "first", "--reward", "valid * wrong") == 0
    assert 0 < float(capsys.readouterr().out.split("mean: ")[1].split()[0]) < 1


def test_a_model_does_not_grade_itself_here_either(folder, server, capsys):
    assert vlmprobe("rejudge", folder, "--name", "own", "--verifier", f"answers@{server.url}") == 2
    assert "expected another model than the answerer, got 'answers' for both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["rejudge", "--name", "a"], "[rejudge] DIR: expected one folder of a run, got none"),
        (["rejudge", "DIR", "--run", "DIR", "--name", "a"], "[rejudge] DIR: expected one folder of a run, got two"),
        (["rejudge", "DIR", "--name", "a", "--set", "k=3"], "--set: expected verifier.KEY=VALUE, got 'k=3'"),
        (["rejudge", "EMPTY", "--name", "a"], "expected the folder of a run, got"),
        (["rejudge", "NEW", "--name", "a"], "expected the folder of a run, got"),
        (["reweight", "NEW", "--name", "a", "--reward", "valid"], "expected the folder of a run, got"),
        (["reweight", "--name", "a", "--reward", "valid"], "[reweight] DIR: expected one folder of a run, got none"),
        (["export", "a.jsonl"], "[export] DIR: expected one folder of a run, got none"),
        (["export", "--run", "DIR", "DIR", "a.jsonl"], "[export] DIR: expected one folder of a run, got two"),
        (["export", "EMPTY", "a.jsonl"], "expected the folder of a run, got"),
    ],
)
def test_wrong_words_are_named_and_make_nothing(folder, tmp_path, capsys, words, text):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "probe.yaml").write_bytes((folder / "probe.yaml").read_bytes())
    places = {"DIR": folder, "EMPTY": tmp_path / "nowhere", "NEW": tmp_path / "new"}
    assert vlmprobe(*(places.get(word, word) for word in words)) == 2
    assert text in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists() and not (tmp_path / "new" / "ledger.sqlite").exists()


def test_the_table_of_a_probe(folder, tmp_path, capsys):
    for words in (["export", folder], ["export", "--run", folder]):
        assert vlmprobe(*words, tmp_path / "all.jsonl") == 0
        rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
        assert len(rows) == 80 and {row["run"] for row in rows} == {"probe"}
        assert capsys.readouterr().out == f"80 questions: {tmp_path / 'all.jsonl'}\n"


def test_a_notebook_has_the_failures_as_a_table(folder, capsys):
    pandas = pytest.importorskip("pandas", reason="pandas is missing: pip install pandas")
    run = ProbeRun(folder)
    frame = run.failures
    assert isinstance(frame, pandas.DataFrame) and tuple(frame.columns) == COLUMNS
    assert len(frame) == run.findings.failures > 3 and set(frame.image_key) <= {"0.png", "1.png"}
    assert (
        (frame.times <= frame.asked).all()
        and set(frame.reason) == {"seen\nseen"}
        and frame.answers[0] == {"yes": frame.times[0]}
    )
    assert list(frame.words.unique()) == [each.words for each in run.findings.beginnings if each.failing]
    assert vlmprobe("report", folder, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    found = run.numbers()
    assert {name: found[name] for name in ("failures", "fdr", "qvr", "vendi", "roles")} == {
        name: shown[name] for name in ("failures", "fdr", "qvr", "vendi", "roles")
    }
    assert repr(run).endswith(f"2 steps, 80 questions, 80 valid, {len(frame)} failures)")


def test_a_notebook_shows_no_text_as_markup(folder, server):
    server.plan = lambda model, text: (
        said("<response_1> <b onclick=x>How</b> many? </response_1>") if model == "asker" else fine(model, text)
    )
    assert vlmprobe("run", folder, "--set", "budget.steps=4", "--quiet") == 0
    html = ProbeRun(folder)._repr_html_()
    assert "<b " not in html and html.count("<td ") % 6 == 3 and "<th>image_key</th>" in html
    gallery = ProbeRun(folder).gallery(3, side=40)
    assert "<b " not in gallery and gallery.count("<tr>") == 4
    assert gallery.count('<img alt="" src="data:image/') == 3 == gallery.count("<img")
    for picture in (folder.parent / "photos").iterdir():
        picture.unlink()
    assert ProbeRun(folder).gallery(3).count("<img") == 0
    with pytest.raises(ValueError, match=r"^\[ProbeRun.gallery\] n: expected at least 1, got 0"):
        ProbeRun(folder).gallery(0)


def test_a_notebook_asks_as_the_command_does(folder):
    before = ProbeRun(folder).findings.steps
    run = ProbeRun.ask(folder, "budget.steps=3", quiet=True)
    assert run.findings.steps == before + 1 == 3
    with pytest.raises(
        ValueError, match=r"^\[ProbeRun\] ask: nothing was asked: answerer: .*no endpoint can be reached"
    ):
        ProbeRun.ask(folder, "budget.steps=4", "answerer.endpoint=http://127.0.0.1:9/v1")
    assert ProbeRun(folder).findings.steps == 3


def test_without_pandas_the_way_out_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    run = ProbeRun(folder)
    with pytest.raises(
        ModuleNotFoundError, match=r"^\[ProbeRun\] failures: pandas is not installed: pip install pandas"
    ):
        _ = run.failures
    assert len(run.rows) == run.findings.failures and set(run.rows[0]) == set(COLUMNS)


def test_a_folder_in_which_nothing_ran_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected the folder of a run, got"):
        ProbeRun(tmp_path / "nowhere")
