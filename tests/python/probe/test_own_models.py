"""Questioners of two families learn in the process on photographs, are killed once, and end in the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sklearn

from support.chatting import needs_chat_client
from support.planned_server import fine, planned
from support.taught import LENGTH, PROMPT, taught
from support.tiny_models import other
from vlmprobe.data.source import FolderImages
from vlmprobe.ledger import Ledger

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLE = Path(__file__).parents[3] / "examples" / "your_model"

PHOTOS = Path(sklearn.__file__).parent / "datasets" / "images"
STEPS = 4
PROBE = f"""
images: photos
questioner:
  model: ../questioner
  prompt: prompt.txt
  max_new_tokens: {LENGTH}
  temperature: 0.7
  lora: {{rank: 4, alpha: 8}}
answerer: {{python: "mine:answer"}}
verifier: {{python: "mine:Judge"}}
method: rl
k: 2
group_size: 4
images_per_step: 2
training: {{learning_rate: 1.0e-3, checkpoint_every: 2}}
budget: {{calls: null, steps: {STEPS}}}
"""
MINE = '''
from vlmprobe.models.replies import Criteria, Judgement


def answer(pictures, questions):
    return ["two" if "hats" in question else "yes" for question in questions]


class Judge:
    """A question that is whole is sound; nothing is red, and there are no hats."""

    identity = "judge"

    def validity(self, images, questions):
        whole = [q.startswith(("How many ", "Are the ")) and q.endswith(("there?", "red?")) for q in questions]
        return [Criteria(grammatical=sound, atomic=True, grounded=True, objective=True) for sound in whole]

    def correctness(self, images, questions, answers):
        return [Judgement(correct="red" not in q and "hats" not in q) for q in questions]
'''


@pytest.fixture(scope="module")
def home_of(tmp_path_factory):
    """Family -> a folder with a questioner of it that asks about things."""
    known: dict[str, Path] = {}

    def of(family: str) -> Path:
        if family not in known:
            known[family] = tmp_path_factory.mktemp(family)
            photos = FolderImages(PHOTOS)
            taught(family, known[family] / "questioner", [photos[0], photos[1]])
        return known[family]

    return of


def probe(home: Path, name: str) -> Path:
    folder = home / name
    shutil.copytree(PHOTOS, folder / "photos", ignore=shutil.ignore_patterns("*.txt", "*.rst", "*.py", "__*"))
    for file, text in (("probe.yaml", PROBE), ("prompt.txt", PROMPT), ("mine.py", MINE)):
        (folder / file).write_text(text)
    return folder


def start(folder: Path, *words: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "vlmprobe", "run", str(folder), *words]
    environ = dict(os.environ) | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)


def steps_of(folder: Path) -> int:
    if not (folder / "ledger.sqlite").is_file():
        return 0
    try:
        with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
            return len(ledger.recorded_steps("probe"))
    except ValueError:  # it is being made
        return 0


def killed(folder: Path) -> int:
    """Starts the run and kills it as soon as it has a step but is not at its end; the number of its steps."""
    process = start(folder)
    while not (made := steps_of(folder)) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return made


@pytest.mark.parametrize("family", ["Qwen2_5_VL", "SmolVLM"])
def test_it_learns_finds_failures_and_is_killed_without_a_trace(home_of, family):
    home = home_of(family)
    whole, cut = probe(home, "whole"), probe(home, "cut")
    said, errors = (process := start(whole)).communicate(timeout=300)
    assert process.returncode == 0, errors
    assert said.splitlines()[-1] == str(whole / "report.html") and (whole / "report.html").is_file()
    assert 1 <= killed(cut) < STEPS
    _, errors = (process := start(cut)).communicate(timeout=300)
    assert process.returncode == 0, errors
    with Ledger(whole / "ledger.sqlite", read_only=True) as one, Ledger(cut / "ledger.sqlite", read_only=True) as two:
        ended = [[line for line in ledger.dump() if '"kind": "resumed"' not in line] for ledger in (one, two)]
        assert ended[0] == ended[1]
        failures = list(one.failures())
    assert len(failures) > 5 and all("red" in row.question or "hats" in row.question for row in failures)
    newest = [sorted(folder.glob("checkpoints/*/questioner/adapter_model.safetensors"))[-1] for folder in (whole, cut)]
    assert newest[0].read_bytes() == newest[1].read_bytes()


@needs_chat_client
def test_the_example_with_a_model_of_ones_own_runs(home_of, tmp_path):
    home, folder = home_of("Qwen2_5_VL"), tmp_path / "your_model"
    shutil.copytree(EXAMPLE, folder)
    shutil.copytree(PHOTOS, folder / "photos", ignore=shutil.ignore_patterns("*.txt", "*.rst", "*.py", "__*"))
    (folder / "prompt.txt").write_text(PROMPT)
    other("SmolVLM").save(tmp_path / "under test")
    with planned() as server:
        server.plan = lambda model, text: fine("judge", text)
        values = {
            "questioner.model": home / "questioner", "questioner.device": "cpu", "questioner.dtype": "float32",
            "questioner.prompt": "prompt.txt", "questioner.max_new_tokens": LENGTH, "questioner.temperature": 0.7,
            "verifier.endpoint": server.url, "budget.steps": 1, "images_per_step": 2, "k": 2, "group_size": 2,
        }  # fmt: skip
        words = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
        process = start(folder, *words, MY_MODEL=str(tmp_path / "under test"))
        said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "answerer    mine:answer, python" in errors and "a qwen2_5_vl, which shares prompts" in errors
    assert said.splitlines()[-1] == str(folder / "report.html")
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        answers = [question.answer for step in ledger.each_step("probe") for question in step.questions]
        assert any(answers), "the model's own words"
