"""vlmprobe as strangers link it: the projects of tests/consumer and examples/cpp build against an install prefix."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BUILD = Path(os.environ.get("VLMPROBE_BUILD_DIR", ROOT / "build" / "check"))
NO_PYTHON = "-DPython_EXECUTABLE=/nonexistent/python"  # so there is no torch to find
UMBRELLAS = {"headers": "headers.h", "core": "core.h", "library": "vlmprobe.h"}


def cmake(*arguments):
    environment = {**os.environ, "CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1"}
    reply = subprocess.run(
        ["cmake", *map(str, arguments)], check=False, capture_output=True, text=True, env=environment
    )
    return reply.returncode, reply.stdout + reply.stderr


def done(*arguments):
    code, output = cmake(*arguments)
    assert code == 0, output


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    if not (BUILD / "CMakeCache.txt").exists() or not shutil.which("cmake"):
        pytest.skip("no build of the check preset: cmake --workflow --preset check")
    first, second = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("moved") / "elsewhere"
    done("--install", BUILD, "--prefix", first, "--component", "cpp")
    first.rename(second)  # a package that holds no path of its own can be moved
    return second


def configure(prefix, project, build, *options):
    source = project if isinstance(project, Path) else ROOT / "tests/consumer" / project
    return cmake("-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", *options)


def run(prefix, project, build, *options):
    code, output = configure(prefix, project, build, *options)
    assert code == 0, output
    done("--build", build)
    return output_of(build / "consumer")


def output_of(program):
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


def listed(umbrella):
    text = (ROOT / "include/vlmprobe" / umbrella).read_text()
    return re.findall(r'^#include "(vlmprobe/\w+/.+)"$', text, re.MULTILINE)


@pytest.mark.parametrize("project", UMBRELLAS)
def test_a_consumer_includes_every_header_of_its_library(project):
    included = re.findall(r'#include "(vlmprobe/.+)"', (ROOT / "tests/consumer" / project / "main.cpp").read_text())
    assert set(listed(UMBRELLAS[project])) - set(included) == set()


@pytest.mark.parametrize("project", ["headers", "core"])
def test_a_body_of_every_header_serves_a_program_without_torch(prefix, tmp_path, project):
    assert run(prefix, project, tmp_path, NO_PYTHON) == f"{len(listed(UMBRELLAS[project]))} headers, 0 wrong\n"
    made = (tmp_path / "build.ninja").read_text()
    assert "torch" not in made
    assert "fmt" not in made


def test_a_body_of_every_header_over_tensors_serves_and_torch_comes_along(prefix, tmp_path):
    options = [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--as-needed"]
    assert run(prefix, "library", tmp_path, *options) == f"{len(listed('vlmprobe.h'))} headers, 0 wrong\n"
    needed = subprocess.run(["readelf", "-d", tmp_path / "consumer"], capture_output=True, text=True, check=True).stdout
    assert "[libtorch.so]" in needed  # by which a CUDA build of torch loads its backend


def test_two_copies_in_one_process_throw_one_type_of_error(prefix, tmp_path):
    said = run(prefix, "two_copies", tmp_path, NO_PYTHON)
    assert said == 2 * "[copy] x: expected shape [B], got []\n" + "two copies\n"


def test_a_build_takes_the_core_in_without_torch_and_installs_none_of_it(prefix, tmp_path):
    build = BUILD.parent / "consumer"  # kept, and as deep as BUILD, for ccache
    options = [NO_PYTHON, f"-DVLMPROBE_SOURCE={ROOT}", "-DVLMPROBE_WARNINGS_AS_ERRORS=ON", "-DCMAKE_BUILD_TYPE=Release"]
    if ccache := shutil.which("ccache"):
        options.append(f"-DCMAKE_CXX_COMPILER_LAUNCHER={ccache}")
    assert run("/nonexistent", "core", build, *options) == f"{len(listed('core.h'))} headers, 0 wrong\n"
    assert "torch" not in (build / "build.ninja").read_text().replace("WITH_TORCH", "")
    done("--install", build, "--prefix", tmp_path / "installed")
    assert list(tmp_path.rglob("*vlmprobe*")) == []


def test_headers_alone_need_nothing_and_say_what_was_left_out(tmp_path):
    off = [f"-DVLMPROBE_{name}=OFF" for name in ("WITH_CORE", "WITH_TORCH", "BUILD_TESTS")]
    installed = tmp_path / "installed"
    done("-S", ROOT, "-B", tmp_path / "build", "-G", "Ninja", NO_PYTHON, *off)
    done("--install", tmp_path / "build", "--prefix", installed)
    assert list(installed.rglob("*.a")) == []
    assert not (installed / "include/vlmprobe/core.h").exists()
    assert run(installed, "headers", tmp_path / "h").endswith(" 0 wrong\n")
    code, output = configure(installed, "core", tmp_path / "c")
    assert code != 0
    assert "component core: this copy of vlmprobe was built without it" in output


def test_a_library_that_is_off_is_named_with_what_needs_it(tmp_path):
    code, output = cmake("-S", ROOT, "-B", tmp_path, "-G", "Ninja", NO_PYTHON, "-DVLMPROBE_WITH_TORCH=OFF")
    assert code != 0
    assert "VLMPROBE_BUILD_TESTS needs VLMPROBE_WITH_CORE and VLMPROBE_WITH_TORCH" in " ".join(output.split())


def test_the_examples_run(prefix, tmp_path):
    code, output = configure(prefix, ROOT / "examples/cpp", tmp_path, f"-DPython_EXECUTABLE={sys.executable}")
    assert code == 0, output
    done("--build", tmp_path)
    reward, loss = output_of(tmp_path / "reward"), output_of(tmp_path / "loss")
    assert "question 1: ok      reward    nan" in reward
    assert reward.endswith("completions: 0.625 and -0.188; from a text: 0.625\n")
    steps = re.findall(r"the best (\S+), of the worst (\S+); padding's gradient 0.0", loss)
    best, worst = zip(*((float(a), float(b)) for a, b in steps), strict=True)
    assert list(best) == sorted(best)
    assert list(worst) == sorted(worst, reverse=True)
    assert len(set(best)) == 3


def test_the_library_can_take_a_libtorch(prefix, tmp_path):
    import torch

    code, output = configure(prefix, "library", tmp_path, f"-DTorch_DIR={torch.utils.cmake_prefix_path}/Torch")
    assert code == 0, output


def test_faiss_is_found_by_a_compiler_without_openmp(prefix, tmp_path):
    options = [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON"]
    code, output = configure(prefix, "library", tmp_path, *options)
    assert code == 0, output


def test_a_missing_torch_is_named_with_the_way_out(prefix, tmp_path):
    code, output = configure(prefix, "library", tmp_path, NO_PYTHON)
    assert code != 0
    assert "vlmprobe::vlmprobe needs torch" in output
    assert "Torch_DIR" in output
    assert "COMPONENTS headers or core" in " ".join(output.split())


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
    code, output = configure(prefix, tmp_path, tmp_path / "b")
    assert code != 0
    assert "component header: expected headers, core or vlmprobe" in output


def test_nothing_installed_holds_a_path_of_the_build_machine(prefix):
    for file in prefix.rglob("*.cmake"):
        text = file.read_text()
        assert str(ROOT) not in text, file
        assert "site-packages" not in text, file
