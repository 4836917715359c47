"""Probing with hints: a questioner behind an endpoint is told what to ask about, goes on after a stop, and the report
says what each hint found."""

from __future__ import annotations

import json

import pytest

from support.chatting import needs_chat_client
from support.photos import photos
from support.planned_server import fine, planned, refused, said
from vlmprobe import cli
from vlmprobe.ledger import Ledger
from vlmprobe.probe.hints import FOLLOW_UPS

MODELS = ("asker", "answers", "judge")


def vlmprobe(*words) -> int:
    return cli.main([str(word) for word in words])


@pytest.fixture
def server():
    """The asker asks about its hint; the judge calls every answer wrong to a question about towers."""

    def plan(model: str, text: str):
        if model == "asker":
            if "<about>" not in text:
                return fine(model, text)  # to the check before the run
            prompts.append(text)
            hint = text.split("<about>")[1].split("</about>")[0]
            asked = [f"How many parts has the {hint} {len(prompts)}?", f"What color is the {hint} {len(prompts)}?"]
            return said(" ".join(f"<response_{i}> {each} </response_{i}>" for i, each in enumerate(asked, 1)))
        return fine(model, text) if model in MODELS else refused(404, "no")

    prompts: list[str] = []
    with planned() as found:
        found.plan, found.prompts = plan, prompts
        yield found


@needs_chat_client
def test_a_probe_with_hints_goes_on_where_it_stopped_and_reports_them(tmp_path, server, capsys):
    folder = tmp_path / "probe"
    roles = [word for name, model in zip(("questioner", "answerer", "verifier"), MODELS, strict=True)
             for word in (f"--{name}", model)]  # fmt: skip
    pictures = photos(tmp_path / "photos", 4)
    assert vlmprobe("init", folder, "--images", pictures, "--endpoint", server.url, *roles) == 0
    (folder / "hints.txt").write_text("# two\ntower\nhat\n")
    words = ("--set", "hints.file=hints.txt", "--quiet")
    assert vlmprobe("run", folder, *words, "--set", "budget.calls=20") == 0
    first = len(server.prompts)
    assert vlmprobe("run", folder, *words, "--set", "budget.calls=160") == 0
    assert len(server.prompts) > first
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        hints = [question.annotations["hint"] for step in ledger.each_step("probe") for question in step.questions]
        told = {(step.step, question.sequence) for step in ledger.each_step("probe") for question in step.questions
                if not question.annotations["hint"].startswith("again: ")}  # fmt: skip
    step_ahead = 4 * 4  # pictures and completions of a step that was asked and did not come
    assert 0 <= len(server.prompts) - len(told) <= step_ahead, "no prompt is sent twice; follow-ups take none"
    assert any(hint.startswith("again: ") for hint in hints)
    capsys.readouterr()
    assert vlmprobe("report", folder, "--json") == 0
    found = json.loads(capsys.readouterr().out)["hints"]
    told_of = {hint if not hint.startswith("again: ") else FOLLOW_UPS for hint in hints if hint}
    assert {each["hint"] for each in found} == told_of >= {"tower", "hat", FOLLOW_UPS}
    assert sum(each["judged"] for each in found) >= 40 and sum(each["failures"] for each in found) > 0
    assert "What was asked about" in (folder / "report.html").read_text()
    (folder / "hints.txt").write_text("tower\nhat\nroof\n")
    assert vlmprobe("run", folder, *words, "--set", "budget.calls=180") == 2, "other hints are another run"
    assert "bandit over 2 hints" in capsys.readouterr().err


@needs_chat_client
def test_a_questioner_that_asks_nothing_new_ends_the_run_and_is_not_taken_for_a_broken_one(tmp_path, server, capsys):
    plan = server.plan
    server.plan = lambda model, text: (
        said("<response_1> How many hats are there? </response_1>") if model == "asker" else plan(model, text)
    )
    folder = tmp_path / "probe"
    roles = [word for name, model in zip(("questioner", "answerer", "verifier"), MODELS, strict=True)
             for word in (f"--{name}", model)]  # fmt: skip
    pictures = photos(tmp_path / "photos", 2)
    assert vlmprobe("init", folder, "--images", pictures, "--endpoint", server.url, *roles) == 0
    assert vlmprobe("run", folder, "--set", "hints.follow_up=0.5", "--quiet") == 0
    out, err = capsys.readouterr()
    assert "the questioner asked nothing new about these pictures in 3 steps" in err
    assert out.splitlines()[-1] == str(folder / "report.html")
