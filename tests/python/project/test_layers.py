"""Arrows point one way (layers.py has them), and a reversed one is seen."""

from pathlib import Path

import pytest

from layers import violations

ROOT = Path(__file__).parents[3]


def tree(root, **files):
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_the_repository_keeps_its_layers():
    assert violations(ROOT) == []


def test_the_check_reads_the_files_it_is_meant_to_read(tmp_path):
    allowed = {
        "include/vlmprobe/reward/score.h": '#include <ATen/core/Tensor.h>\n#include "vlmprobe/memory/bank.h"\n',
        "include/vlmprobe/core.h": '#include "vlmprobe/headers.h"\n#include "vlmprobe/core/shape.h"\n',
        "src/memory/tensor/bank.cpp": "#include <faiss/utils/distances.h>\n#include <ATen/ops/mm.h>\n",
        "python/bindings/bind_text.cpp": "#include <pybind11/stl.h>\n",
        "python/vlmprobe/loop/trainer.py": "from vlmprobe import _core, reward\nfrom ..ledger import store\n",
        "python/vlmprobe/ledger/store.py": "import sqlite3\nfrom . import cache\nfrom .. import text\n",
        "python/vlmprobe/__init__.py": "import vlmprobe.loop.trainer\n",
    }
    assert violations(tree(tmp_path, **allowed)) == []


@pytest.mark.parametrize(
    ("path", "text", "wrong"),
    [
        ("src/text/a.cpp", '#include "vlmprobe/reward/a.h"', "text includes vlmprobe/reward/a.h; text sees core"),
        ("include/vlmprobe/grpo/a.h", '#include "vlmprobe/memory/a.h"', "grpo sees core, text"),
        ("src/core/a.cpp", '#include "vlmprobe/text/a.h"', "core sees nothing"),
        ("src/news/a.cpp", '#include "vlmprobe/core/a.h"', "folder 'news' has no layer"),
        ("src/text/a.cpp", '#include "vlmprobe/vlmprobe.h"', "an umbrella for users"),
        ("include/vlmprobe/text/a.h", '#include "vlmprobe/headers.h"', "an umbrella for users"),
        ("src/grpo/a.cpp", "#include <ATen/ops/mm.h>", "what needs torch lives in src/grpo/tensor/"),
        ("src/grpo/a.h", "#include <c10/util/Half.h>", "what needs torch lives in src/grpo/tensor/"),
        ("src/metrics/a.cpp", '#include "../core/tensor/defined.h"', "what needs torch lives in src/metrics/tensor/"),
        ("src/reward/a.cpp", "#include <faiss/IndexFlat.h>", "the home of faiss is src/memory/"),
        ("src/memory/a.cpp", "  #  include <nlohmann/json.hpp>", "the home of nlohmann is src/text/ or"),
        ("include/vlmprobe/models/a.h", "#include <curl/curl.h>", "the home of curl is src/models/"),
        ("include/vlmprobe/metrics/a.h", "#include <Eigen/Dense>", "the home of Eigen is src/metrics/"),
        ("src/text/a.cpp", "#include <pybind11/pybind11.h>", "the home of pybind11 is python/bindings/"),
        ("include/vlmprobe/text/a.h", "#include <fmt/format.h>", "the home of fmt is nowhere"),
        ("include/vlmprobe/text/a.h", "#include <torch/torch.h>", "take the per-operator headers"),
        ("include/vlmprobe/text/a.h", "#include <torch/extension.h>", "take the per-operator headers"),
        ("src/grpo/a.cpp", "#include <ATen/ATen.h>", "take the per-operator headers"),
        ("include/vlmprobe/grpo/a.h", "#include <ATen/ops/mm.h>", "at most ATen/core/Tensor.h"),
        ("include/vlmprobe/grpo/a.h", "#include <c10/core/Device.h>", "at most ATen/core/Tensor.h"),
        ("python/vlmprobe/reward.py", "from vlmprobe.loop import trainer", "reward imports vlmprobe.loop"),
        ("python/vlmprobe/reward.py", "from vlmprobe import Trainer", "reward imports vlmprobe.run"),
        ("python/vlmprobe/text.py", "from . import reward", "text imports vlmprobe.reward"),
        ("python/vlmprobe/data/a.py", "from ..models import chat", "data imports vlmprobe.models"),
        (
            "python/vlmprobe/ledger/a.py",
            "def f():\n    from vlmprobe.report import page",
            "ledger imports vlmprobe.report",
        ),
        ("python/vlmprobe/loop/trainer.py", "from vlmprobe.run import journal", "loop imports vlmprobe.run"),
        ("python/vlmprobe/models/a.py", "import importlib\nimportlib.import_module('vlmprobe.cli')", "vlmprobe.cli"),
        ("python/vlmprobe/models/a.py", "import vlmprobe", "hides what it uses"),
        ("python/vlmprobe/news.py", "from vlmprobe import text", "package 'news' has no layer"),
        ("python/vlmprobe/models/chat.py", "import transformers", "imports transformers; its home is vlm/ or"),
        ("python/vlmprobe/loop/trainer.py", "require('peft', extra='hf')", "imports peft"),
        ("python/vlmprobe/cli/demo.py", "import sqlite3", "imports sqlite3; its home is ledger"),
        ("python/vlmprobe/cli/demo.py", "from matplotlib import pyplot", "imports matplotlib; its home is report"),
    ],
)
def test_a_broken_rule_is_named(tmp_path, path, text, wrong):
    (found,) = violations(tree(tmp_path, **{path: text + "\n"}))
    assert found.startswith(path + ": ")
    assert wrong in found
