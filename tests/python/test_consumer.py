"""find_package(vlmprobe) from an install prefix: the projects under tests/consumer build, link and run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = Path(os.environ.get("VLMPROBE_BUILD_DIR", ROOT / "build" / "check"))


def cmake(*arguments):
    reply = subprocess.run(["cmake", *map(str, arguments)], check=False, capture_output=True, text=True)
    return reply.returncode, reply.stdout + reply.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    if not (BUILD / "CMakeCache.txt").exists() or not shutil.which("cmake"):
        pytest.skip("no build of the check preset: cmake --workflow --preset check")
    first, second = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("moved") / "elsewhere"
    code, output = cmake("--install", BUILD, "--prefix", first, "--component", "cpp")
    assert code == 0, output
    first.rename(second)  # a package that holds no path of its own can be moved
    return second


def configure(prefix, project, build, *options):
    return cmake(
        "-S", ROOT / "tests/consumer" / project, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", *options
    )


def run(prefix, project, build, *options):
    code, output = configure(prefix, project, build, *options)
    assert code == 0, output
    code, output = cmake("--build", build)
    assert code == 0, output
    return subprocess.run([build / "consumer"], capture_output=True, text=True, check=True).stdout


def test_the_headers_serve_a_program_without_torch(prefix, tmp_path):
    said = run(prefix, "headers", tmp_path, "-DPython_EXECUTABLE=/nonexistent/python")
    assert said == "0.4349552623078713 unknown [consumer] k: expected at least 1, got 0 loss -0.9999\n"
    assert "torch" not in (tmp_path / "build.ninja").read_text()


def test_the_library_brings_torch_along(prefix, tmp_path):
    said = run(prefix, "library", tmp_path, f"-DPython_EXECUTABLE={sys.executable}")
    assert said == "[consumer] mask: expected shape [B, T], got [3, 3] (B=2 was set by logp)\nloss -1.0 gradient -0.5\n"


def test_the_library_can_take_a_libtorch(prefix, tmp_path):
    import torch

    code, output = configure(prefix, "library", tmp_path, f"-DTorch_DIR={torch.utils.cmake_prefix_path}/Torch")
    assert code == 0, output


def test_a_missing_torch_is_named_with_the_way_out(prefix, tmp_path):
    code, output = configure(prefix, "library", tmp_path, "-DPython_EXECUTABLE=/nonexistent/python")
    assert code != 0
    assert "vlmprobe::vlmprobe needs torch" in output
    assert "Torch_DIR" in output


def test_another_torch_is_refused_with_both_versions(prefix, tmp_path):
    version = tmp_path / "torch/include/torch/headeronly/version.h"
    version.parent.mkdir(parents=True)
    version.write_text("#define TORCH_VERSION_MAJOR 1\n#define TORCH_VERSION_MINOR 9\n")
    code, output = configure(prefix, "library", tmp_path / "build", f"-DTorch_DIR={tmp_path}/torch/share/cmake/Torch")
    assert code != 0
    assert "was built against torch 2." in output
    assert "got 1.9" in output


def test_an_unknown_component_is_refused(prefix, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(p LANGUAGES CXX)\n"
        "find_package(vlmprobe REQUIRED COMPONENTS header)\n"
    )
    code, output = cmake("-S", tmp_path, "-B", tmp_path / "b", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert code != 0
    assert "component header: expected headers or vlmprobe" in output


def test_nothing_installed_holds_a_path_of_the_build_machine(prefix):
    for file in prefix.rglob("*.cmake"):
        text = file.read_text()
        assert str(ROOT) not in text, file
        assert "site-packages" not in text, file
