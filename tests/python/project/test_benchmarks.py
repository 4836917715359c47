"""The benchmarks run: every case on tiny shapes gives well-formed lines. Their numbers mean nothing here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "python"
FIELDS = {"name", "variant", "shape", "threads", "versions", "machine", "malloc"}
TIMED = {"ours_s", "peer", "peer_s", "ratio", "ours_spread_s", "errors", "targets", "met"}


def run(*arguments: str, program: str = "bench.py") -> list[dict]:
    command = [sys.executable, str(BENCHMARKS / program), "--tiny", *arguments]
    environment = dict(os.environ) | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(text) for text in done.stdout.splitlines()]


def names() -> set[str]:
    """Of the cases, from the error about one that does not exist."""
    command = [sys.executable, str(BENCHMARKS / "bench.py"), "--tiny", "--cases", "no such case"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    [listed] = re.findall(r"expected a part of (.*), got 'no such case'", done.stderr)
    return set(listed.split(", "))


@pytest.mark.peers("trl", "liger_kernel", "faiss", "openai")
def test_every_case_checks_its_result_and_is_timed(tmp_path):
    out = tmp_path / "lines.jsonl"
    lines = run("--out", str(out))
    assert {line["name"] for line in lines} == names()
    for line in lines:
        assert line.keys() >= FIELDS | TIMED, line["name"]
        assert "refused" not in line
        assert line["ours_s"] > 0 and line["peer_s"] > 0
        assert all(target.keys() >= {"of", "got", "met"} for target in line["targets"])
    assert [json.loads(text) for text in out.read_text().splitlines()] == lines


def test_the_benchmarks_of_a_gpu_run_without_one():
    lines = run("--device", "cpu", program="gpu.py")
    assert {line["name"] for line in lines} >= {"linear_loss_gpu", "questioner_update_gpu"}
    assert all(line["ours_s"] > 0 and line["peer_s"] > 0 and line["machine"] == {"gpu": "none"} for line in lines)


def test_a_product_that_the_processor_refuses_is_left_out_with_its_words(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import machine

    def refuses(left, right):
        raise RuntimeError("needs a wider processor\nand more lines")

    monkeypatch.setattr(machine, "PRODUCTS", ((8, 8, 8),))
    monkeypatch.setitem(machine.WAYS, "oneDNN", refuses)
    left_out = []
    assert machine.product(torch.bfloat16, left_out) > 0
    assert left_out == ["oneDNN in bfloat16: needs a wider processor"]
    described = machine.Machine(1, 1.0, 1.0, dict.fromkeys((torch.float32, torch.bfloat16), 1.0), tuple(left_out))
    assert described.as_json()["left_out"] == left_out


def test_a_name_that_no_case_has_is_refused_with_the_names_that_there_are():
    assert names() >= {"token_logp_entropy_f32", "questioner_update", "neighbours_4096", "commit_score_1e6"}
