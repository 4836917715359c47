"""The README's Python runs with small models in the place of large ones; its tree and its numbers are true."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.planned_server import planned
from vlmprobe.world import WorldImages

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()

SMALLER = {
    '"Qwen/Qwen3-VL-2B-Instruct"': '"vlmprobe:world/questioner"',
    '"Qwen/Qwen2.5-VL-3B-Instruct")\njudge': '"vlmprobe:world/answerer-small")\njudge',
    '"Qwen/Qwen3-VL-30B-A3B-Thinking"': '"judge"',
    'prompt=PromptFiles.load()["questioner"], max_new_tokens=256': 'prompt="ask {k} questions"',
    "train(100)": "train(1)",
    "held_out, 200": "held_out, 20",
}
"""What the README has, and what stands in for it here: a quick model, the prompt that it knows, fewer steps."""


@pytest.fixture(autouse=True)
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, seed in (("photos", 11), ("other_photos", 22)):
        Path(folder).mkdir()
        for number, image in enumerate(WorldImages(4, seed=seed)):
            image.pixels.save(f"{folder}/{number}.png")


def snippets():
    return re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(code, url, replaced=()):
    for large, small in {"http://127.0.0.1:8000/v1": url, **dict(replaced)}.items():
        assert code.count(large) == 1, large
        code = code.replace(large, small)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def test_the_readme_runs_with_ones_own_model_and_pictures(capsys):
    first = snippets()[0]
    assert len([line for line in first.splitlines() if line and "import" not in line]) <= 20
    with planned() as server:
        run(first, server.url, SMALLER.items())
    said = capsys.readouterr().out
    assert re.search(r"'fdr': 0\.\d+, 'fdr_interval': \[", said)
    assert re.search(r"^\d\.png .+ -> .+$", said, re.MULTILINE)


def test_the_readmes_answerer_behind_a_server_answers():
    with planned() as server:
        answerer = run(snippets()[1], server.url)["answerer"]
        (reply,) = answerer.answer([WorldImages(1, seed=11)[0]], ["Is there a star?"])
    assert reply.text == "yes"


def test_the_readme_has_no_python_that_no_test_runs():
    assert len(snippets()) == 2


def test_the_tree_of_the_readme_names_every_folder():
    tree = re.search(r"## The tree\n\n```\n(.*?)```", README, re.DOTALL)[1]
    named = {line.split()[0] for line in tree.splitlines()}
    assert {path for path in named if not (ROOT / path).is_dir()} == set()
    if shutil.which("git") and (ROOT / ".git").exists():
        tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        folders = {name.split("/")[0] for name in tracked.splitlines() if "/" in name and not name.startswith(".")}
        assert folders == {path.split("/")[0] for path in named}


def test_the_three_benchmark_rows_are_those_of_the_results():
    lines = [json.loads(line) for file in (ROOT / "benchmarks/results").glob("*.jsonl") for line in file.open()]
    rows = re.findall(r"^\| .+ \| ([\d.]+ m?s) \| ([\d.]+ s), .+ \| (\S+) \(.+, n (\d+)\) \|$", README, re.MULTILINE)
    cases = re.search(r"CASES='(\S+)'", README)[1].split("|")
    assert len(rows) == len(cases) == 3
    for case, (ours, peer, ratio, n) in zip(cases, rows, strict=True):
        assert any(
            line["name"] == case
            and line["threads"] == 1
            and line["repeats"] == int(n)
            and seconds(ours) == pytest.approx(line["ours_s"], rel=0.02)
            and seconds(peer) == pytest.approx(line["peer_s"], rel=0.02)
            and float(ratio) == pytest.approx(line["ratio"], rel=0.02)
            for line in lines
        ), case


def seconds(text):
    number, unit = text.split()
    return float(number) * {"s": 1, "ms": 1e-3}[unit]
