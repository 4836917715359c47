"""The two folders a researcher starts from run as they are, but for the models' names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sklearn

from support.chatting import needs_chat_client
from support.planned_server import fine, planned, said
from vlmprobe import cli
from vlmprobe.ledger import Ledger

EXAMPLES = Path(__file__).parents[3] / "examples"
SUBJECTS = ("hats", "towers", "flowers", "clouds", "roofs", "persons", "windows", "trees")


def example(tmp_path: Path, name: str) -> Path:
    """A copy with two photographs."""
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder)
    (folder / "photos").mkdir()
    for photo in ("china.jpg", "flower.jpg"):
        shutil.copy(Path(sklearn.__file__).parent / "datasets" / "images" / photo, folder / "photos" / photo)
    return folder


@pytest.fixture
def server():
    asked = iter(range(10**6))

    def plan(model: str, text: str):
        if "VL-7B" in model:
            place = next(asked)
            subjects = SUBJECTS[place % 8], SUBJECTS[place // 8 % 8]
            tags = [f"<response_{i}>How many {each} are there?</response_{i}>" for i, each in enumerate(subjects, 1)]
            return said("".join(tags))
        return fine("judge" if "72B" in model else model, text)

    with planned() as found:
        found.plan = plan
        yield found


def run(folder: Path, **values: object) -> int:
    words = [word for name, value in values.items() for word in ("--set", f"{name.replace('__', '.')}={value}")]
    return cli.main(["run", str(folder), "--quiet", *words])


def failures(folder: Path) -> int:
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return len(list(ledger.failures()))


@needs_chat_client
def test_models_behind_endpoints(tmp_path, server, capsys):
    folder = example(tmp_path, "your_endpoint")
    roles = {f"{name}__endpoint": server.url for name in ("questioner", "answerer", "verifier")}
    assert run(folder, **roles, budget__calls=40) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(folder / "report.html")
    assert (folder / "report.html").is_file() and failures(folder) > 5
