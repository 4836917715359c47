"""A probe as a user runs it: from pictures and an endpoint to a page, checked before, stopped and gone on with."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
import sklearn

from support.chatting import needs_chat_client
from support.planned_server import fine, planned, refused, said
from vlmprobe import cli
from vlmprobe.ledger import Ledger

SUBJECTS = ("hat", "tower", "flower", "sky", "roof", "person", "window", "tree")
MODELS = ("asker", "answers", "judge")


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two photographs, and a third that a download left half."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("china.jpg", "flower.jpg"):
        shutil.copy(Path(sklearn.__file__).parent / "datasets" / "images" / name, folder / name)
    (folder / "cut.jpg").write_bytes((folder / "china.jpg").read_bytes()[:2000])
    return folder


def plan(model: str, text: str):
    """The asker asks something else each time; the judge calls every other answer wrong."""
    if model == "asker":
        plan.asked += 1
        first, second = (SUBJECTS[int(hashlib.md5(f"{plan.asked} {i}".encode()).hexdigest(), 16) % 8] for i in (1, 2))
        tags = "<response_{0}> {1} </response_{0}>"
        return said(tags.format(1, f"How many {first}s are there?") + tags.format(2, f"What color is the {second}?"))
    return fine(model, text) if model in MODELS else refused(404, f"The model `{model}` does not exist.")


@pytest.fixture
def server():
    plan.asked = 0
    with planned() as found:
        found.plan = plan
        yield found


def vlmprobe(*words) -> int:
    return cli.main([str(word) for word in words])


def begun(tmp_path, photos, url) -> Path:
    folder = tmp_path / "probe"
    roles = [word for name, model in zip(("questioner", "answerer", "verifier"), MODELS, strict=True)
             for word in (f"--{name}", model)]  # fmt: skip
    assert vlmprobe("init", folder, "--images", photos, "--endpoint", url, *roles) == 0
    return folder


@needs_chat_client
def test_from_photographs_to_failures(tmp_path, photos, server, capsys):
    folder = begun(tmp_path, photos, server.url)
    assert vlmprobe("check", folder, "--set", "answerer.prices.prompt=1000000") == 0
    table = capsys.readouterr().out
    assert "3 pictures of a folder; 1 of them cannot be read: cut.jpg" in table
    assert "cost 4500.00" in table
    assert vlmprobe("run", folder, "--set", "budget.calls=60", "--quiet") == 0
    out = capsys.readouterr()
    page = folder / "report.html"
    assert out.out.splitlines()[-1] == str(page) and out.err == "" and "60 failures" not in out.out
    text = page.read_text(encoding="utf-8")
    assert "failures were found. Most of them" in text and "One could not be read:" in text and "cut.jpg" in text
    assert "data:image/jpeg;base64," in text and "What color is the" in text
    assert vlmprobe("report", folder, "--json", "--set", "answerer.prices.prompt=1000000") == 0
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["roles"]["answerer"]["cost"] == numbers["roles"]["answerer"]["prompt_tokens"]
    assert numbers["answerer_calls"] == 60 and numbers["n_valid"] >= 60 and numbers["pictures"] == 2
    assert numbers["failures"] == sum(1 for _ in failing(folder)) > 5 and numbers["finished"]
    assert numbers["roles"]["answerer"]["prompt_tokens"] > 0 and 0 < numbers["fdr"] < 1
    assert vlmprobe("export", "--run", folder, tmp_path / "questions.jsonl") == 0


def failing(folder: Path) -> set:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return {(row.image, row.question.casefold()) for row in ledger.failures()}


@needs_chat_client
def test_a_larger_budget_goes_on_and_pays_for_nothing_twice(tmp_path, photos, server, capsys):
    folder = begun(tmp_path, photos, server.url)
    assert vlmprobe("run", folder, "--set", "budget.steps=2", "--quiet") == 0
    before, calls = dump(folder), server.calls
    assert vlmprobe("run", folder, "--set", "budget.steps=2", "--quiet") == 0
    assert dump(folder) == before and server.calls == calls + 3  # the check asks each endpoint once
    assert vlmprobe("run", folder, "--set", "budget.steps=3", "--quiet") == 0
    assert len(dump(folder)) > len(before)
    assert vlmprobe("run", folder, "--set", "k=3", "--quiet") == 2
    assert "has another config: k: expected 2, got 3" in capsys.readouterr().err


@needs_chat_client
def test_a_step_whose_calls_did_not_do_for_all_its_pictures_is_gone_through_as_it_was(tmp_path, photos, server):
    folder = begun(tmp_path, photos, server.url)
    for calls in (20, 50, 120):  # two turns: asking takes calls, and the last step of each has fewer pictures
        words = ("--set", "method=conme", "--set", f"budget.calls={calls}", "--quiet")
        assert vlmprobe("run", folder, *words) == 0
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        short = [step.numbers.get("short") for step in ledger.each_step("probe")]
    assert short[0] and len(short) >= 3


def dump(folder: Path) -> list[str]:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        lines = [line for line in ledger.dump() if '"kind": "resumed"' not in line]
        return [re.sub('"event_id": [0-9]+', "", line) for line in lines]


@needs_chat_client
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("answerer.model=gone", "FAIL  answerer"),
        ("answerer.model=gone", "HTTP 404: The model `gone` does not exist."),
        ("verifier.endpoint=http://127.0.0.1:9/v1", "no endpoint can be reached"),
        ("verifier.endpoint=URL", "HTTP 404: Not Found; does its URL end in /v1?"),
        ("questioner.key_env=NO_SUCH_KEY", "expected a key in the environment variable NO_SUCH_KEY, got none"),
        ("images.source=nowhere", "path: no folder"),
        ("answerer={python: no_module:f}", "expected module:name that can be imported, got 'no_module:f'"),
    ],
)
def test_what_does_not_work_ends_in_seconds_before_anything_is_spent(tmp_path, photos, server, capsys, change, words):
    folder = begun(tmp_path, photos, server.url)
    capsys.readouterr()
    change = change.replace("URL", server.url.removesuffix("/v1"))
    assert vlmprobe("check", folder, "--set", change) == 1
    assert words in capsys.readouterr().out
    assert vlmprobe("run", folder, "--set", change) == 1
    err = capsys.readouterr().err
    assert words in err and err.splitlines()[-1] == "nothing was asked: put this right first"
    assert not (folder / "ledger.sqlite").exists()


@needs_chat_client
def test_a_run_in_which_nothing_is_scored_does_not_end_well(tmp_path, photos, server, capsys):
    folder = begun(tmp_path, photos, server.url)
    server.plan = lambda model, text: said("no idea") if model == "asker" else plan(model, text)
    assert vlmprobe("run", folder, "--set", "budget.steps=2", "--quiet") == 1
    assert "no answer to a valid question was judged" in capsys.readouterr().err


@needs_chat_client
def test_a_run_that_an_outage_ends_writes_the_page_of_what_was_scored(tmp_path, photos, server, capsys):
    folder = begun(tmp_path, photos, server.url)
    assert vlmprobe("run", folder, "--set", "budget.steps=1", "--quiet") == 0
    (folder / "report.html").unlink()
    capsys.readouterr()
    server.plan = lambda model, text: said("no idea") if model == "asker" else plan(model, text)
    assert vlmprobe("run", folder, "--set", "budget.steps=9", "--quiet") == 4
    out, err = capsys.readouterr()
    assert out.endswith(f"{folder / 'report.html'}\n") and (folder / "report.html").is_file()
    assert "stopped after step 4: the same command goes on" in err and "its replies hold no question" in err


def test_a_function_of_ones_own_answers(tmp_path, photos, capsys):
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "mine_of_test.py").write_text(
        "def answer(pictures, questions):\n    return ['yes' if p.width > 100 else None for p in pictures]\n"
    )
    folder = tmp_path / "probe"
    words = ("--images", "world", "--questioner", "world", "--answerer", "world", "--verifier", "world")
    assert vlmprobe("init", folder, *words) == 0
    mine = (
        "--set",
        "answerer={python: mine_of_test:answer}",
        "--set",
        "budget.calls=20",
        "--set",
        "images.n=4",
        "--quiet",
    )
    assert vlmprobe("run", folder, *mine) == 1, "no picture of the world is that wide"
    capsys.readouterr()
    assert vlmprobe("report", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["missing"] == {"answer": {"empty": 20}}


def test_the_worlds_questioner_is_trained_by_the_same_command(tmp_path, capsys):
    folder = tmp_path / "probe"
    assert vlmprobe("init", folder, "--images", "world", "--method", "rl") == 0
    small = [
        f"--set={each}" for each in ("images.n=4", "images_per_step=2", "training.learning_rate=3e-4", "budget.calls=")
    ]
    assert vlmprobe("run", folder, *small, "--set", "budget.steps=3", "--quiet") == 0
    assert [path.name for path in sorted((folder / "checkpoints").iterdir())] == ["step-00000003"]
    assert vlmprobe("run", folder, *small, "--set", "budget.steps=5", "--quiet") == 0
    whole = tmp_path / "whole"
    assert vlmprobe("init", whole, "--images", "world", "--method", "rl") == 0
    assert vlmprobe("run", whole, *small, "--set", "budget.steps=5", "--quiet") == 0
    assert dump(folder) == dump(whole)
    assert (folder / "report.html").is_file()


def test_init_refuses_what_it_cannot_write(tmp_path, photos, capsys):
    assert vlmprobe("init", tmp_path / "a", "--images", tmp_path / "nowhere", "--questioner", "a") == 2
    assert "expected a folder of pictures or world" in capsys.readouterr().err
    assert vlmprobe("init", tmp_path / "a", "--images", photos, "--questioner", "a", "--answerer", "b") == 2
    assert "[init] --verifier: expected a model, got none" in capsys.readouterr().err
    assert vlmprobe("init", tmp_path / "a", "--images", "world") == 0
    assert vlmprobe("init", tmp_path / "a", "--images", "world") == 2
    assert "expected no such file, got one" in capsys.readouterr().err
