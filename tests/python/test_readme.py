"""The README's Python runs as printed, and its tree is the tree."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_python_of_the_readme_runs(capsys):
    training, kernels = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(training.strip().splitlines()) <= 24
    exec(compile(training, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert re.search(r"before 0\.\d+ \[", said) and re.search(r"after 0\.\d+ \[", said)
    names = {}
    exec(compile(kernels, "README.md", "exec"), names)
    assert names["head"].grad.abs().sum() > 0 and names["hidden"].grad.isfinite().all()


def test_every_path_of_the_readme_exists():
    for path in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / path).exists(), path
