"""The benchmarks run: every case on tiny shapes gives well-formed lines. Their numbers mean nothing here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "python"
SHORT = "advantages|neighbours|commit"
FIELDS = {"name", "variant", "shape", "threads", "versions", "machine", "malloc"}
TIMED = {"ours_s", "peer", "peer_s", "ratio", "ours_spread_s", "errors", "targets", "met"}


def run(*arguments: str) -> list[dict]:
    command = [sys.executable, str(BENCHMARKS / "bench.py"), "--tiny", *arguments]
    environment = dict(os.environ) | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(text) for text in done.stdout.splitlines()]


@pytest.mark.peers("trl", "liger_kernel", "faiss")
def test_every_case_checks_its_result_and_is_timed(tmp_path):
    out = tmp_path / "lines.jsonl"
    lines = run("--out", str(out))
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from cases import CASES
    finally:
        sys.path.remove(str(BENCHMARKS))
    assert {line["name"] for line in lines} == {case.name for case in CASES}
    for line in lines:
        assert line.keys() >= FIELDS | TIMED, line["name"]
        assert "refused" not in line
        assert line["ours_s"] > 0 and line["peer_s"] > 0
        assert all(target.keys() >= {"of", "got", "met"} for target in line["targets"])
    assert [json.loads(text) for text in out.read_text().splitlines()] == lines


def test_a_name_that_no_case_has_is_refused():
    command = [sys.executable, str(BENCHMARKS / "bench.py"), "--tiny", "--cases", "no such case"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "[bench]" not in done.stdout and "expected a part of" in done.stderr
