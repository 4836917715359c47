"""The notebooks of examples/ run from the first cell to the last, each in less than a minute; no output is kept."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from support.chatting import needs_chat_client
from support.planned_server import fine, planned, said
from vlmprobe.world.source import WorldImages

FOLDER = Path(__file__).parents[3] / "examples" / "notebooks"
PYTHON = Path(__file__).parents[3] / "python"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
SUBJECTS = ("hat", "tower", "flower", "sky", "roof", "person", "window", "tree")


def read(name: str):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Runs a notebook in a folder of its own; gives its cells with what they put out."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PYTHON), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / ".ipython"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(name: str, replaced: dict[str, str] | None = None):
        notebook = read(name)
        for cell in notebook.cells:
            for text, here in (replaced or {}).items():
                cell.source = cell.source.replace(text, here)
        NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
        return [cell for cell in notebook.cells if cell.cell_type == "code"]

    return run


def html(cell) -> str:
    return "".join(each["data"]["text/html"] for each in cell.outputs if "text/html" in each.get("data", {}))


def printed(cell) -> str:
    return "".join(each.get("text", "") for each in cell.outputs)


def test_there_are_three_and_none_keeps_outputs():
    assert NAMES == ["first_run", "reward_kernels", "your_pictures"]
    for name in NAMES:
        cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
        assert [cell for cell in cells if cell.outputs or cell.execution_count] == []


def test_the_first_run_finds_failures_and_a_mode_and_trains(execute):
    _, _, asked, failures, gallery, modes, trained, evaluated = execute("first_run")
    assert re.search(r"600 of\s+600\s+calls", html(asked)) and "of the valid ones wrong (FDR)" in html(asked)
    assert "image_key" in html(failures) and html(gallery).count('<img alt="" src="data:image/png;base64,') == 6
    assert "failure modes in" in html(modes)
    assert "step 3: " in html(trained) and "<th>reward</th>" in html(trained)
    assert re.search(r"answerer calls</th><td style=\"text-align:right\">100<", html(evaluated))


@needs_chat_client
def test_ones_own_pictures_and_an_endpoint(execute, tmp_path):
    (tmp_path / "photos").mkdir()
    for i, image in enumerate(WorldImages(4, seed=3)):
        image.pixels.save(tmp_path / "photos" / f"{i}.png")
    asked = iter(range(10**6))

    def plan(model: str, text: str):
        if model != "asker":
            return fine(model, text)
        place = next(asked)
        words = (SUBJECTS[int(hashlib.md5(f"{place} {i}".encode()).hexdigest(), 16) % 8] for i in (1, 2))
        return said("".join(f"<response_{i}>How many {each}s?</response_{i}>" for i, each in enumerate(words, 1)))

    with planned() as server:
        server.plan = plan
        _, _, checked, found, counted, gallery, modes, page = execute(
            "your_pictures",
            {"http://127.0.0.1:8000/v1": server.url, '"ASKER", "MODEL", "JUDGE"': '"asker", "answers", "judge"'},
        )
    assert "4 pictures of a folder" in printed(checked) and "cost" in printed(checked)
    bar = re.sub(r"<[^>]+>|━|\S+:\d\d", " ", html(found))  # the line may go on in a next one, behind the bar
    assert re.search(r"of\s+60\s+calls,\s+cost\s+0\.\d+", bar) and "How many" in html(found)
    assert "how many" in str(counted.outputs) and "<img" in html(gallery)
    assert "failure modes in" in html(modes) and "report.html" in printed(page)


def test_the_kernels_give_the_numbers_of_equation_5(execute):
    *_, novelty, rewards, advantages, loss = execute("reward_kernels")
    assert "0.4366" in printed(novelty) and "0.5000" in printed(novelty)
    assert "[ 0.4683,  0.0000,  0.4683, -1.0000]" in printed(rewards)  # 0.5 (0.4366 + 0.5), right, 0.5 (...), invalid
    assert "Advantages(values=[2], degenerate=0 of 2)" in printed(advantages)
    assert float(printed(loss).split()[1]) > 0
