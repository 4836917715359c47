"""What keeps the house walkable: a short root, short files, short functions, and a path that a reader can follow."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import step_path

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "python" / "vlmprobe"


def files(*endings: str) -> list[Path]:
    """Of the repository, generated ones aside."""
    said = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    found = [ROOT / name for name in said.stdout.splitlines() if name.endswith(endings)]
    return [path for path in found if path.is_file()]


def test_the_root_of_the_package_has_few_entries_beside_its_folders():
    names = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert len(names) <= 10 and {"__init__.py", "text.py", "reward.py", "memory.py"} <= names


def test_no_file_is_longer_than_400_lines():
    sources = files(".py", ".pyi", ".h", ".cpp", ".sh")
    assert len(sources) > 400
    assert [path.name for path in sources if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []


def test_no_function_is_longer_than_60_lines():
    long = []
    for path in files(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno - node.lineno >= 60:
                long.append(f"{path.name}: {node.name}")
    assert long == []


def test_whoever_follows_a_step_opens_at_most_12_files():
    found = step_path.step_files()
    assert next(iter(found)) == "loop/trainer.py" and "loop/learn.py" in found
    assert len(step_path.leading(found)) <= 12
